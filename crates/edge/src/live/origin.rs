//! Which pages may open a WebSocket. No other rule of browsers keeps any page from that, and on a node that asks nobody who they
//! are it could read along.

use http::{HeaderValue, Uri, header, uri::Authority};

use super::Asked;

/// Whether a page of this origin may connect. Who names none is no browser.
pub(super) fn is_allowed(asked: &Asked) -> bool {
    let Some(page) = asked.headers.get(header::ORIGIN) else {
        return true;
    };
    let known_as = [
        asked.headers.get(header::HOST).and_then(|host| host.to_str().ok()),
        asked.origin.0.split_once("://").map(|(_, host)| host),
    ];
    asked.is_granted || is_one_of(page, known_as.into_iter().flatten())
}

/// Whether a page comes from one of these hosts. Its scheme is not looked at: a proxy may have taken TLS off.
fn is_one_of<'a>(page: &HeaderValue, mut hosts: impl Iterator<Item = &'a str>) -> bool {
    let page: Option<Uri> = page.to_str().ok().and_then(|page| page.parse().ok());
    // Without a scheme it is no origin, whatever else it looks like.
    let page = page.filter(|page| page.scheme().is_some());
    let page = page.as_ref().and_then(Uri::authority).map(Authority::as_str);
    page.is_some_and(|page| hosts.any(|host| host.eq_ignore_ascii_case(page)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_same_host_is_our_own() {
        let is_own = |page| {
            is_one_of(
                &HeaderValue::from_static(page),
                ["10.0.0.7", "video.example:8080"].into_iter(),
            )
        };
        assert!(
            is_own("https://video.example:8080") && is_own("http://VIDEO.example:8080") && is_own("http://10.0.0.7")
        );
        for other in [
            "https://evil.example",
            "https://video.example",
            "null",
            "",
            "video.example:8080",
            "https://video.example:8080.evil.example",
            "https://10.0.0.7@evil.example",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
