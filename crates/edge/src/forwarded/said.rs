//! What trusted proxies say of a request.

use std::net::{IpAddr, SocketAddr};

use http::{
    HeaderMap, HeaderName,
    header::FORWARDED,
    uri::{Authority, Scheme},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is known of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// The rightmost address that is no trusted proxy.
    pub(super) client: IpAddr,
    /// How the client spoke to the first trusted proxy.
    pub(super) scheme: Option<Scheme>,
    /// Whom the client named there.
    pub(super) host: Option<Authority>,
}

/// One hop: what a proxy says of whom it heard from.
#[derive(Debug, Clone, Default)]
struct Hop {
    from: Option<IpAddr>,
    scheme: Option<Scheme>,
    host: Option<Authority>,
}

impl Said {
    /// What the headers say that came from `peer`, a trusted proxy.
    pub(super) fn by_proxies(headers: &HeaderMap, peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> Self {
        let nothing = Self {
            client: peer,
            scheme: None,
            host: None,
        };
        let standard = headers.contains_key(FORWARDED).then(|| {
            let hops = list(headers, &FORWARDED).into_iter().map(hop).collect();
            Self::by_hops(hops, peer, &is_trusted)
        });
        let common = headers.contains_key(X_FORWARDED_FOR).then(|| {
            let hops = list(headers, &X_FORWARDED_FOR).into_iter().map(|from| Hop {
                from: address(from),
                ..Hop::default()
            });
            Self::by_hops(hops.collect(), peer, &is_trusted)
        });
        let scheme = last(headers, &X_FORWARDED_PROTO).and_then(scheme);
        let host = last(headers, &X_FORWARDED_HOST).and_then(host);
        match (standard, common) {
            (Some(standard), Some(common)) if standard.client != common.client => nothing,
            (Some(standard), _) => Self {
                scheme: agreed(standard.scheme, scheme),
                host: agreed(standard.host, host),
                ..standard
            },
            (None, common) => Self {
                scheme,
                host,
                ..common.unwrap_or(nothing)
            },
        }
    }

    /// Goes through the hops from the nearest one on, for as long as they are trusted proxies themselves.
    fn by_hops(hops: Vec<Hop>, peer: IpAddr, is_trusted: &impl Fn(IpAddr) -> bool) -> Self {
        let mut said = Self {
            client: peer,
            scheme: None,
            host: None,
        };
        for hop in hops.into_iter().rev() {
            // Whoever can't be understood is not named, and nor is anybody before.
            let Some(from) = hop.from else { break };
            said = Self {
                client: from,
                scheme: hop.scheme,
                host: hop.host,
            };
            if !is_trusted(from) {
                break;
            }
        }
        said
    }
}

/// What both headers say, or the only one that says something.
fn agreed<T: PartialEq>(standard: Option<T>, common: Option<T>) -> Option<T> {
    match (standard, common) {
        (Some(standard), Some(common)) if standard != common => None,
        (standard, common) => standard.or(common),
    }
}

/// The elements of a header that may be given several times.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).iter();
    // A value that isn't text is an element that nobody understands.
    values
        .flat_map(|value| value.to_str().unwrap_or_default().split(',').map(str::trim))
        .collect()
}

fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    list(headers, name).pop()
}

/// An element of `Forwarded`: pairs with semicolons between them. Quoted values with commas in them are nobody's address.
fn hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in element.split(';') {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.from = address(value),
            "proto" => hop.scheme = scheme(value),
            "host" => hop.host = host(value),
            _ => {}
        }
    }
    hop
}

/// An address with or without a port, an IPv6 one with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: Option<IpAddr> = text.parse().ok();
    address
        .or_else(with_port)
        .or_else(in_brackets)
        .map(|address| address.to_canonical())
}

fn scheme(text: &str) -> Option<Scheme> {
    match text.to_ascii_lowercase().as_str() {
        "http" => Some(Scheme::HTTP),
        "https" => Some(Scheme::HTTPS),
        _ => None,
    }
}

/// A host with or without a port, and nothing else.
pub(super) fn host(text: &str) -> Option<Authority> {
    text.parse()
        .ok()
        .filter(|authority: &Authority| !authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn said(headers: &[(&'static str, &str)]) -> Said {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Said::by_proxies(&map, PROXY.parse().unwrap(), |ip| ip.to_string().starts_with("10."))
    }

    fn client(headers: &[(&'static str, &str)]) -> String {
        said(headers).client.to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        assert_eq!(client(&[]), PROXY);
        assert_eq!(client(&[("x-forwarded-for", "203.0.113.7")]), "203.0.113.7");
        // What the client wrote itself stands further left.
        assert_eq!(
            client(&[("x-forwarded-for", "8.8.8.8, 203.0.113.7, 10.0.0.2")]),
            "203.0.113.7"
        );
        let twice = [("x-forwarded-for", "8.8.8.8"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client(&twice), "203.0.113.7");
        assert_eq!(client(&[("x-forwarded-for", "203.0.113.7, junk")]), PROXY);
        assert_eq!(
            client(&[("x-forwarded-for", "203.0.113.7, junk, 10.0.0.3")]),
            "10.0.0.3"
        );
        assert_eq!(client(&[("x-forwarded-for", "203.0.113.7:4711")]), "203.0.113.7");
        assert_eq!(client(&[("x-forwarded-for", "::ffff:203.0.113.7")]), "203.0.113.7");
    }

    #[test]
    fn the_standard_header_is_understood() {
        let said = said(&[(
            "forwarded",
            "for=8.8.8.8, For=\"[2001:db8::7]:443\";proto=https;host=video.example;by=10.0.0.1",
        )]);
        assert_eq!(said.client.to_string(), "2001:db8::7");
        assert_eq!(said.scheme, Some(Scheme::HTTPS));
        assert_eq!(said.host.unwrap().as_str(), "video.example");
        assert_eq!(client(&[("forwarded", "for=_hidden;proto=https")]), PROXY);
        assert_eq!(client(&[("forwarded", "for=\"unknown\"")]), PROXY);
    }

    #[test]
    fn headers_that_contradict_each_other_say_nothing() {
        let agree = [("forwarded", "for=203.0.113.7"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client(&agree), "203.0.113.7");
        let differ = [
            ("forwarded", "for=127.0.0.1;proto=https"),
            ("x-forwarded-for", "203.0.113.7"),
        ];
        assert_eq!((client(&differ), said(&differ).scheme), (PROXY.to_owned(), None));
        let differ = [
            ("forwarded", "for=203.0.113.7;proto=https"),
            ("x-forwarded-proto", "http"),
        ];
        assert_eq!(said(&differ).scheme, None);
    }

    #[test]
    fn only_a_scheme_and_a_host_are_taken_for_one() {
        let said = said(&[
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "video.example:8443"),
        ]);
        assert_eq!(said.scheme, Some(Scheme::HTTPS));
        assert_eq!(said.host.unwrap().as_str(), "video.example:8443");
        for wrong in ["a@b", "a/b", "a b", "", "a?b"] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
        assert_eq!(scheme("javascript"), None);
    }
}
