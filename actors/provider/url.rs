//! The forms of URLs that senders sign, and the check of pinned addresses.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::form::{PinnedUrl, SignedForm, UrlVariant};

/// Characters `encodeURI` (ECMA-262) does not escape.
const URI: AsciiSet = COMPONENT
    .remove(b';')
    .remove(b',')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b'#');
/// Characters `encodeURIComponent` (ECMA-262) does not escape.
const COMPONENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Longest address that is accepted.
const PINNED_URL_BYTES_MAX: usize = 2_048;

/// The forms of `url` that may have been signed.
pub fn variants<'a>(url: &'a str, form: &'a SignedForm) -> impl Iterator<Item = Cow<'a, str>> {
    let variants = match form.url_variants.as_slice() {
        [] => &[UrlVariant::AsIs],
        variants => variants,
    };
    variants.iter().map(|variant| {
        let url = form.url_unescape.iter().fold(Cow::Borrowed(url), |url, escape| unescaped(&url, escape));
        written(&url, *variant).map_or(url, Cow::Owned)
    })
}

fn unescaped<'a>(url: &str, escape: &str) -> Cow<'a, str> {
    let plain = percent_decode_str(escape).decode_utf8_lossy();
    url.replace(escape, &plain).replace(&escape.to_ascii_lowercase(), &plain).into()
}

/// `url` in the form `variant`; `None` if that is the URL unchanged.
fn written(url: &str, variant: UrlVariant) -> Option<String> {
    if variant == UrlVariant::AsIs {
        return None;
    }
    let (scheme, authority, rest) = parts(url)?;
    let (host, port) = split_port(authority);
    if variant == UrlVariant::WithoutPort {
        return Some(format!("{scheme}://{host}{rest}"));
    }
    let own_port = if scheme == "https" { "443" } else { "80" };
    Some(format!("{scheme}://{host}:{}{rest}", port.unwrap_or(own_port)))
}

/// Scheme, authority, and the rest beginning with the path.
fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, after) = url.split_once("://")?;
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    Some((scheme, after.get(..end)?, after.get(end..)?))
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, Some(port))
        }
        _ => (authority, None),
    }
}

/// `url` with its host in lower case, if it is allowed: `https`, a pinned host, no user, a port only if the pin has one,
/// not too long, and with the required end of the path.
pub fn pinned(url: &str, pinned: &PinnedUrl) -> Option<String> {
    let ("https", host, path) = parts(url).filter(|_| url.len() <= PINNED_URL_BYTES_MAX)? else {
        return None;
    };
    let plain = !host.is_empty()
        && split_port(host).0.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let path_only = path.starts_with('/') && !path.contains(['?', '#']);
    let host = host.to_ascii_lowercase();
    let is_pinned = plain
        && path_only
        && path.ends_with(&pinned.path_suffix)
        && pinned.hosts.iter().any(|pattern| host_fits(&host, pattern));
    is_pinned.then(|| format!("https://{host}{path}"))
}

fn host_fits(host: &str, pattern: &str) -> bool {
    if let Some(tail) = pattern.strip_prefix("**.") {
        return host == tail || host.strip_suffix(tail).is_some_and(|labels| labels.ends_with('.'));
    }
    let (labels, wanted): (Vec<&str>, Vec<&str>) = (host.split('.').collect(), pattern.split('.').collect());
    labels.len() == wanted.len()
        && labels.iter().zip(wanted).all(
            |(label, wanted)| {
                if wanted == "*" { label.len() >= 3 } else { *label == wanted }
            },
        )
}

/// The path of `url`, unchanged.
pub fn path(url: &str) -> &str {
    let rest = parts(url).map_or(url, |(_, _, rest)| rest);
    rest.split(['?', '#']).next().unwrap_or_default()
}

/// Path and query as written by JavaScript's `encodeURI(path + "?" + encodeURIComponent(query))`.
pub fn uri_encoded(url: &str) -> String {
    let rest = parts(url).map_or(url, |(_, _, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let whole = match rest.split_once('?') {
        Some((path, query)) if !query.is_empty() => {
            format!("{path}?{}", utf8_percent_encode(query, &COMPONENT))
        }
        Some((path, _)) => path.to_owned(),
        None => rest.to_owned(),
    };
    utf8_percent_encode(&whole, &URI).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::form::Locator;

    #[test]
    fn only_pinned_hosts_over_https_are_believed() {
        let pin = |hosts: &[&str]| PinnedUrl {
            from: Locator::Const(String::new()),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            path_suffix: ".pem".to_owned(),
            chain_name: None,
        };
        let fits = |url: &str, pin: &PinnedUrl| pinned(url, pin).is_some();
        let sns = pin(&["sns.*.amazonaws.com", "sns.*.amazonaws.com.cn"]);
        assert!(fits("https://sns.us-east-1.amazonaws.com/a.pem", &sns));
        assert!(fits("https://sns.cn-north-1.amazonaws.com.cn/a.pem", &sns));
        for forged in [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/a.pem",
            "https://sns.a.us.amazonaws.com/a.pem",
            "https://evil.example/sns.us-east-1.amazonaws.com/a.pem",
            "https://evil@sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com:444/a.pem",
            "https://sns.user@host.amazonaws.com/a.pem",
            "https://sns.us:1x.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com/a?.pem",
            "https://sns.us-east-1.amazonaws.com",
            "",
        ] {
            assert!(!fits(forged, &sns), "{forged}");
        }
        let with_port = pin(&["keys.example:8443"]);
        assert!(fits("https://keys.example:8443/a.pem", &with_port));
        for forged in [
            "https://keys.example/a.pem",
            "https://keys.example:8444/a.pem",
            "https://a:8443@keys.example:8443/a.pem",
        ] {
            assert!(!fits(forged, &with_port), "{forged}");
        }
        let any = pin(&["**.paypal.com"]);
        assert!(fits("https://api.sandbox.paypal.com/x.pem", &any));
        assert!(fits("https://paypal.com/x.pem", &any));
        assert!(!fits("https://evilpaypal.com/x.pem", &any));
        assert!(!fits(&format!("https://paypal.com/{}.pem", "x".repeat(PINNED_URL_BYTES_MAX)), &any));
        let written = pinned("https://API.PayPal.com/Certs/X.pem", &any);
        assert_eq!(written.as_deref(), Some("https://api.paypal.com/Certs/X.pem"), "one host, one address");
    }

    #[test]
    fn a_url_is_written_with_and_without_its_port() {
        let url = "https://a.example/x?y=1";
        assert_eq!(written(url, UrlVariant::WithPort).as_deref(), Some("https://a.example:443/x?y=1"));
        let without_port = written("https://a.example:8443/x", UrlVariant::WithoutPort);
        assert_eq!(without_port.as_deref(), Some("https://a.example/x"));
        assert_eq!(written("/only/a/path", UrlVariant::WithPort), None);
    }
}
