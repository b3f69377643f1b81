//! Upload-Concat: uploads that are parts of another one, and that one.

use http::HeaderMap;
use reelway_domain::{Failure, UploadId};
use url::Url;

use super::{
    CREATION_SLASH,
    fields::{self, UPLOAD_CONCAT, wrong},
};
use crate::origin::Origin;

/// What an upload is in a concatenation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Concat {
    /// An upload of its own.
    None,
    /// A part of another one.
    Partial,
    /// Made of these, in this order.
    Final(Vec<UploadId>),
}

impl Concat {
    /// Reads the header.
    ///
    /// # Errors
    /// `FIELD_INVALID` if it is neither `partial` nor `final` with URLs of uploads of this server.
    pub(super) fn of(headers: &HeaderMap, origin: &Origin) -> Result<Self, Failure> {
        let Some(text) = fields::text(headers, &UPLOAD_CONCAT)? else {
            return Ok(Self::None);
        };
        if text == "partial" {
            return Ok(Self::Partial);
        }
        let Some(urls) = text.strip_prefix("final;") else {
            return Err(wrong(
                &UPLOAD_CONCAT,
                "must be partial, or final; and the URLs of the parts",
            ));
        };
        let here = Here::at(origin)?;
        let parts: Result<Vec<_>, _> = urls.split_ascii_whitespace().map(|url| here.upload(url)).collect();
        match parts? {
            parts if parts.is_empty() => Err(wrong(
                &UPLOAD_CONCAT,
                "final; must be followed by the URLs of the parts",
            )),
            parts => Ok(Self::Final(parts)),
        }
    }
}

/// Where this server's uploads are.
struct Here(Url);

impl Here {
    fn at(origin: &Origin) -> Result<Self, Failure> {
        let url = Url::parse(&format!("{}{CREATION_SLASH}", origin.0));
        url.map(Self)
            .map_err(|_| wrong(&UPLOAD_CONCAT, "the request names no host that the URLs could be of"))
    }

    /// The upload of an absolute URL, or one relative to where uploads are created.
    fn upload(&self, reference: &str) -> Result<UploadId, Failure> {
        let refused = || {
            wrong(
                &UPLOAD_CONCAT,
                format!("{reference:?} is not the URL of an upload of this server"),
            )
        };
        let url = self.0.join(reference).map_err(|_| refused())?;
        // The scheme isn't compared: what is http here may be https in front of a proxy.
        let is_here = (url.host_str(), url.port()) == (self.0.host_str(), self.0.port());
        let path = url.path();
        // A proxy may cut a prefix of the public address off.
        let name = path
            .strip_prefix(self.0.path())
            .or_else(|| path.strip_prefix(CREATION_SLASH));
        let id = name.and_then(|name| name.parse().ok());
        id.filter(|_| is_here).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &str, origin: &str) -> Option<Concat> {
        let headers = HeaderMap::from_iter([(UPLOAD_CONCAT, HeaderValue::try_from(value).unwrap())]);
        Concat::of(&headers, &Origin(origin.to_owned())).ok()
    }

    #[test]
    fn cc2_urls_are_absolute_or_relative() {
        let (a, b) = (UploadId::new(), UploadId::new());
        let both = Some(Concat::Final(vec![a, b]));
        let origin = "http://video.example:8080";
        assert_eq!(read(&format!("final;/files/{a} /files/{b}"), origin), both);
        assert_eq!(read(&format!("final; {a} ./{b}"), origin), both);
        assert_eq!(
            read(
                &format!("final;{origin}/files/{a} {origin}/files/{b}?access_token=x"),
                origin
            ),
            both
        );
        let prefixed = "https://video.example/api";
        assert_eq!(read(&format!("final;{prefixed}/files/{a} /files/{b}"), prefixed), both);
        assert_eq!(
            read(
                &format!("final;http://video.example/files/{a} {b}"),
                "https://video.example"
            ),
            both
        );
        assert_eq!(read("partial", origin), Some(Concat::Partial));
        assert_eq!(
            Concat::of(&HeaderMap::new(), &Origin(origin.to_owned())).ok(),
            Some(Concat::None)
        );
    }

    #[test]
    fn cc11_other_urls_are_refused() {
        let a = UploadId::new();
        let origin = "http://video.example";
        for wrong in [
            format!("final;http://evil.example/files/{a}"),
            format!("final;http://video.example:81/files/{a}"),
            format!("final;/uploads/{a}"),
            format!("final;/files/{a}/x"),
            format!("final;/files/../{a}"),
            "final;/files/upl_".to_owned(),
            "final;http://[".to_owned(),
            "final;".to_owned(),
            "final".to_owned(),
            "Partial".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&wrong, origin), None, "{wrong}");
        }
    }
}
