//! What a request asks for, if the XML API has it: <https://cloud.google.com/storage/docs/xml-api/reference-methods>.

use hyper::{Method, StatusCode, http::request::Parts};
use object_store::path::Path;

use super::{query::Query, refusal::Refusal};

/// The highest number of a part.
const PART_NUMBER_MAX: u32 = 10_000;
/// What Google's own headers begin with.
const GOOGLE: &str = "x-goog-";
/// What Amazon's begin with.
const AMAZON: &str = "x-amz-";

/// A request, with the names in it.
#[derive(Debug)]
pub(super) enum Call {
    /// Objects are listed.
    List(Objects),
    /// Multipart uploads are listed that have not ended.
    ListMultiparts(Multiparts),
    /// A multipart upload of the object with this key is begun.
    Begin(String),
    /// A part is sent.
    Part(PartName),
    /// The parts of a multipart upload are listed that have higher numbers than this.
    Parts(MultipartName, u32),
    /// A multipart upload is made one object.
    Complete(MultipartName),
    /// A multipart upload is given up.
    Abort(MultipartName),
    /// An object is stored.
    Put(String),
    /// An object is read, or looked at.
    Read(String, Query),
    /// An object is removed.
    Delete(String),
}

/// Which objects are listed.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    /// Only names behind this one.
    pub(super) after: String,
    pub(super) names_max: Option<usize>,
}

/// Which multipart uploads are listed.
#[derive(Debug, Default)]
pub(super) struct Multiparts {
    pub(super) prefix: String,
    /// Only keys behind this one, and of this one only ids behind the other.
    pub(super) key_after: String,
    pub(super) id_after: String,
}

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MultipartName {
    pub(super) key: String,
    pub(super) id: String,
}

/// A part of one.
#[derive(Debug)]
pub(super) struct PartName {
    pub(super) multipart: MultipartName,
    pub(super) number: u32,
}

impl Call {
    /// # Errors
    /// [`Refusal`] of what Google's API doesn't have, and of what isn't known here.
    pub(super) fn of(head: &Parts, query: &Query, bucket: &str) -> Result<Self, Refusal> {
        let path = Path::from_url_path(head.uri.path()).map_err(|_| invalid("There can't be such a name."))?;
        let path = path.as_ref();
        let (asked_bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if asked_bucket != bucket {
            let message = "The specified bucket does not exist.";
            return Err(Refusal::new(StatusCode::NOT_FOUND, "NoSuchBucket", message));
        }
        let known: Vec<&str> = query.asked().map(|(name, _)| name).collect();
        let only = |names: &[&str]| known.iter().all(|name| names.contains(name));
        let (has, text) = (
            |name: &str| query.get(name).is_some(),
            |name: &str| query.get(name).unwrap_or_default().to_owned(),
        );
        let multipart = || MultipartName {
            key: key.to_owned(),
            id: text("uploadId"),
        };
        let call = match head.method {
            Method::GET if key.is_empty() && has("uploads") => {
                let is_known = only(&["uploads", "prefix", "key-marker", "upload-id-marker"]);
                is_known.then(|| Self::ListMultiparts(multiparts(text)))
            }
            Method::GET if key.is_empty() && text("list-type") == "2" => {
                let names = [
                    "list-type",
                    "prefix",
                    "delimiter",
                    "max-keys",
                    "start-after",
                    "continuation-token",
                ];
                is_listed(query, only(&names))?.map(Self::List)
            }
            _ if key.is_empty() => None,
            Method::POST if has("uploads") => only(&["uploads"]).then(|| Self::Begin(key.to_owned())),
            Method::POST if has("uploadId") => only(&["uploadId"]).then(|| Self::Complete(multipart())),
            Method::PUT if has("partNumber") => match only(&["partNumber", "uploadId"]) {
                true => Some(Self::Part(PartName {
                    multipart: multipart(),
                    number: number(&text("partNumber"))?,
                })),
                false => None,
            },
            Method::PUT => only(&[]).then(|| Self::Put(key.to_owned())),
            Method::GET if has("uploadId") => match only(&["uploadId", "part-number-marker"]) {
                true => Some(Self::Parts(
                    multipart(),
                    text("part-number-marker").parse().unwrap_or(0),
                )),
                false => None,
            },
            Method::GET | Method::HEAD => {
                let is_known = only(&["response-content-disposition", "response-content-type"]);
                is_known.then(|| Self::Read(key.to_owned(), query.clone()))
            }
            Method::DELETE if has("uploadId") => only(&["uploadId"]).then(|| Self::Abort(multipart())),
            Method::DELETE => only(&[]).then(|| Self::Delete(key.to_owned())),
            _ => None,
        };
        let call = call.ok_or_else(|| invalid("The XML API has no such request, or it is not known here."))?;
        call.allows(head)?;
        Ok(call)
    }

    /// Checks the headers that mean something to a provider. Both kinds in one request are what the service refuses with this name;
    /// Amazon's alone it takes from clients of Amazon's, who sign otherwise.
    fn allows(&self, head: &Parts) -> Result<(), Refusal> {
        let known: &[&str] = match self {
            Self::Put(_) => &["x-goog-storage-class", "x-goog-if-generation-match"],
            Self::Begin(_) => &["x-goog-storage-class"],
            _ => &[],
        };
        for name in head.headers.keys().map(hyper::header::HeaderName::as_str) {
            if name.starts_with(AMAZON) {
                let message = format!("Requests cannot specify both x-amz and x-goog headers: {name}");
                return Err(Refusal::foreign("ExcessHeaderValues", message));
            }
            if name.starts_with(GOOGLE) && !known.contains(&name) {
                return Err(invalid(&format!(
                    "{name} is not for this request, or it is not known here."
                )));
            }
        }
        Ok(())
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::foreign("InvalidArgument", message)
}

fn number(text: &str) -> Result<u32, Refusal> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=PART_NUMBER_MAX).contains(number));
    number.ok_or_else(|| invalid("Part numbers go from 1 to 10000."))
}

fn multiparts(text: impl Fn(&str) -> String) -> Multiparts {
    Multiparts {
        prefix: text("prefix"),
        key_after: text("key-marker"),
        id_after: text("upload-id-marker"),
    }
}

fn is_listed(query: &Query, is_known: bool) -> Result<Option<Objects>, Refusal> {
    if !is_known {
        return Ok(None);
    }
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let names_max = query.get("max-keys").map(str::parse).transpose();
    Ok(Some(Objects {
        prefix: text("prefix"),
        delimiter: query.get("delimiter").map(str::to_owned),
        after: text("start-after").max(text("continuation-token")),
        names_max: names_max.map_err(|_| invalid("max-keys is no number."))?,
    }))
}
