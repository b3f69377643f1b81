//! Listings of objects: <https://cloud.google.com/storage/docs/xml-api/get-bucket-list>.

use std::collections::BTreeSet;

use hyper::{Response, header};
use object_store::ObjectMeta;
use quick_xml::escape::escape;

use super::{Answer, Service, call::Objects, lock, refusal::Refusal, whole};

/// An answer has as many names at most.
pub(super) const NAMES_MAX: usize = 1000;

/// One page of names, and from which on the next one goes on.
#[derive(Debug, Default)]
struct Page {
    objects: Vec<ObjectMeta>,
    prefixes: BTreeSet<String>,
    next: Option<String>,
}

impl Service {
    pub(super) async fn list(&self, asked: Objects) -> Result<Answer, Refusal> {
        let page = page(self.behind.list(&asked.prefix).await?, &asked);
        let (mut text, mut memory) = (String::new(), lock(&self.memory));
        for object in &page.objects {
            let key = object.location.as_ref();
            let written = memory.of(key);
            text += &format!(
                "<Contents><Key>{}</Key><Generation>{}</Generation><MetaGeneration>1</MetaGeneration><LastModified>{}</LastModified>\
                 <ETag>{}</ETag><Size>{}</Size><StorageClass>{}</StorageClass></Contents>",
                escape(key),
                written.generation,
                humantime::format_rfc3339_millis(object.last_modified.into()),
                escape(object.e_tag.as_deref().unwrap_or_default()),
                object.size,
                written.class
            );
        }
        drop(memory);
        for prefix in &page.prefixes {
            let prefix = escape(prefix.as_str());
            text += &format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>");
        }
        let next = page.next.as_deref().map(escape);
        let next = next.map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
        Ok(xml(&format!(
            "<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>{}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount>\
             <IsTruncated>{}</IsTruncated>{}{text}</ListBucketResult>",
            self.bucket,
            escape(asked.prefix.as_str()),
            page.objects.len() + page.prefixes.len(),
            next.is_some(),
            next.unwrap_or_default()
        )))
    }
}

/// An answer of XML.
pub(super) fn xml(text: &str) -> Answer {
    let answer = Response::builder().header(header::CONTENT_TYPE, "application/xml; charset=UTF-8");
    whole(answer, format!("<?xml version='1.0' encoding='UTF-8'?>{text}"))
}

fn page(all: Vec<ObjectMeta>, asked: &Objects) -> Page {
    let names_max = asked.names_max.unwrap_or(NAMES_MAX).min(NAMES_MAX);
    let (mut page, mut last) = (Page::default(), String::new());
    for object in all {
        let key = object.location.as_ref().to_owned();
        let group = asked.delimiter.as_deref().and_then(|delimiter| {
            let (group, _) = key.strip_prefix(&asked.prefix)?.split_once(delimiter)?;
            Some(format!("{}{group}{delimiter}", asked.prefix))
        });
        let name = group.clone().unwrap_or_else(|| key.clone());
        if name <= asked.after || page.prefixes.contains(&name) {
            continue;
        }
        if page.objects.len() + page.prefixes.len() == names_max {
            page.next = Some(last);
            break;
        }
        match group {
            Some(group) => drop(page.prefixes.insert(group)),
            None => page.objects.push(object),
        }
        last = name;
    }
    page
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;

    fn named(key: &str) -> ObjectMeta {
        ObjectMeta {
            location: Path::from(key),
            last_modified: std::time::UNIX_EPOCH.into(),
            size: 0,
            e_tag: None,
            version: None,
        }
    }

    /// All that two names at a time give, page by page.
    fn pages(keys: &[&str], prefix: &str, delimiter: Option<&str>) -> Vec<Vec<String>> {
        let (mut pages, mut after) = (Vec::new(), Some(String::new()));
        while let Some(last) = after {
            let asked = Objects {
                prefix: prefix.to_owned(),
                delimiter: delimiter.map(str::to_owned),
                after: last,
                names_max: Some(2),
            };
            let found = keys.iter().filter(|key| key.starts_with(prefix));
            let page = page(found.map(|key| named(key)).collect(), &asked);
            let objects = page.objects.iter().map(|object| object.location.to_string());
            pages.push(objects.chain(page.prefixes).collect());
            after = page.next;
        }
        pages
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let keys = ["a", "b/1", "b/2", "b/3", "c", "d/1"];
        assert_eq!(pages(&keys, "", None), [["a", "b/1"], ["b/2", "b/3"], ["c", "d/1"]]);
        assert_eq!(pages(&keys, "", Some("/")), [["a", "b/"], ["c", "d/"]]);
        assert_eq!(pages(&keys, "b/", Some("/")), [vec!["b/1", "b/2"], vec!["b/3"]]);
        assert_eq!(pages(&[], "", Some("/")), [Vec::<String>::new()]);
    }
}
