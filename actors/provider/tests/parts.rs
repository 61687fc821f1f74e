//! The parts of verification at their edges, each by itself.

use super::form::{KeyDecoding, KeyForm, TimeFormat, TimestampForm};
use super::template::Template;
use super::*;
use crate::limits::SIGNATURE_HEADER_BYTES_MAX;

#[test]
fn a_signature_that_is_sent_twice_is_as_good_as_once() {
    for algorithm in [
        Algorithm::HmacSha1,
        Algorithm::HmacSha256,
        Algorithm::HmacSha384,
        Algorithm::HmacSha512,
        Algorithm::Sha256,
    ] {
        let pieces = [None, Some(b"content".as_slice().into())];
        let code = mac::compute(algorithm, b"key", &pieces).unwrap();
        assert!(mac::accepts(algorithm, b"key", &pieces, &[code.clone(), code.clone()]), "{algorithm:?}");
        let other = vec![0; code.len()];
        assert!(mac::accepts(algorithm, b"key", &pieces, &[other.clone(), code]), "{algorithm:?}");
        assert!(!mac::accepts(algorithm, b"key", &pieces, &[other]), "{algorithm:?}");
    }
}

#[test]
fn an_hmac_is_that_of_rfc_4231() {
    // Its test case 2.
    let pieces = [Some(b"what do ya want for nothing?".as_slice().into())];
    for (algorithm, code) in [
        (Algorithm::HmacSha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            Algorithm::HmacSha384,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            Algorithm::HmacSha512,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        let computed = mac::compute(algorithm, b"Jefe", &pieces).unwrap();
        assert_eq!(signature::encode(&computed, Encoding::Hex), code, "{algorithm:?}");
    }
}

const EC_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBcDCCARWgAwIBAgIUfEIzYZ6cA9+Lp0wGnngXVZBkhcAwCgYIKoZIzj0EAwIw\n\
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjQyMjM0MjBaGA8yMTI2MTAzMTIyMzQyMFow\n\
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABA1CtzyIZOCS\n\
DqRmpzOFYU79z2va2ZR3wTAPlGxLqqaayH+OFpgI7qJHmBHHcscauc5eBBaMkOT7\n\
2jdVgXLKKuujUzBRMB0GA1UdDgQWBBSL4rnbNAcdSnQsHeFyYtEmJvF1+jAfBgNV\n\
HSMEGDAWgBSL4rnbNAcdSnQsHeFyYtEmJvF1+jAPBgNVHRMBAf8EBTADAQH/MAoG\n\
CCqGSM49BAMCA0kAMEYCIQD5Uam4pthbAXR1FGuQwgSsUvA6ysAE8BcIVbAKolKa\n\
zQIhAKsmPPMmJqX2L8xeisc7OsJhys8DCwUDCkyICy2F09fc\n\
-----END CERTIFICATE-----\n\
";
/// Public keys on P-256 and on P-384.
const SPKI_P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDUK3PIhk4JIOpGanM4VhTv3Pa9rZlHfBMA+UbEuqpprIf44WmAjuokeYEcdyxxq5zl4EFoyQ5PvaN1WBcsoq6w==";
const SPKI_P384: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE30EMWHCNqRYz2Vh1mFKnkD2CjXs3/XTpkaSsZ6y9LFSlIJabeLkuGyiJlv+go+7pRwmZ2rtkGfFpj35bEWjICNs1S4aUmtGV8MnDNLPn5U7+2vyZaQyT/K4aT+ph89db";

/// The same curve with a compressed point, and a certificate of an RSA key of 1,024 bits: nothing is verified with either.
const SPKI_COMPRESSED: &str =
    "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACpA8e3qP/zAudwpuasWVD21+vn3BdMIK5OmO0dU2xZY4=";
const RSA_1024_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIB9jCCAV+gAwIBAgIUCgDD/nK7CIwTotccj78q+lKXcYswDQYJKoZIhvcNAQEL\n\
BQAwDDEKMAgGA1UEAwwBdDAgFw0yNjExMjUyMzAyNThaGA8yMTI2MTEwMTIzMDI1\n\
OFowDDEKMAgGA1UEAwwBdDCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAngiP\n\
N3EXXNIhcWaQ1jZQs10ZUetSEEpV6rMnLbYxdzpSqTHEvVh2Tm5o1opXFKEVDNot\n\
Q6Xx51LGdauXRUl86r0ed0F+xYS+9soTcCjPkRwLAXwcopC4HqNtVsynef/W4VTC\n\
vKKvsw4pc+pWU38seq6I+ACWaZWd7mvoJYl5D+UCAwEAAaNTMFEwHQYDVR0OBBYE\n\
FFLd9ssJEEFOcEXGa5x+IOYkRvd+MB8GA1UdIwQYMBaAFFLd9ssJEEFOcEXGa5x+\n\
IOYkRvd+MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADgYEAZynlcY+6\n\
pINpSXoTA1f/+eC8f8p/VlWTqdMqzQnKTU0GcMbztwYVnwfTFz8ZMIl9IWTE9YaU\n\
kFMQcRSDg9PsfcL6LgmRtbKWuNUqwRgrc173jVFPmrAIACeaOwZTGeaWw4cKKJWY\n\
kigxZnhQn+YbV9ZfJ3aU0xr8VOKqrnG56Ws=\n\
-----END CERTIFICATE-----\n\
";

fn key(secret: &str, decode: KeyDecoding, algorithm: Algorithm) -> Result<(), String> {
    let form = KeyForm { decode, strip_prefix: Some("whsec_".to_owned()) };
    Key::read(secret.as_bytes(), &form, algorithm).map(drop)
}

#[test]
fn a_key_of_another_kind_or_of_nothing_is_none() {
    let ecdsa = |spki: &str| key(spki, KeyDecoding::SpkiBase64, Algorithm::EcdsaP256Sha256);
    assert_eq!(ecdsa(SPKI_P256), Ok(()));
    assert!(ecdsa(SPKI_P384).unwrap_err().contains("P-256"));
    let other_kind =
        SPKI_P256.replacen("BgcqhkjOPQIB", "BgcqhkjOPQIC", 1).replacen("YHKoZIzj0CAQ", "YHKoZIzj0CAg", 1);
    assert_ne!(other_kind, SPKI_P256);
    assert!(ecdsa(&other_kind).unwrap_err().contains("P-256"));
    let rsa = key(EC_CERTIFICATE, KeyDecoding::Pem, Algorithm::RsaSha256);
    assert!(rsa.unwrap_err().contains("RSA"));
    assert!(ecdsa(SPKI_COMPRESSED).unwrap_err().contains("P-256"));
    let short = key(RSA_1024_CERTIFICATE, KeyDecoding::Pem, Algorithm::RsaSha256);
    assert!(short.unwrap_err().contains("2,048"));
    let empty = key("whsec_", KeyDecoding::Raw, Algorithm::HmacSha256);
    assert!(empty.unwrap_err().contains("empty"));
}

#[test]
fn a_certificate_is_trusted_to_the_last_second_of_its_span_and_not_beyond() {
    // The certificate of the vectors: from 2025-01-01 to 2035-01-01.
    for (now, reason) in [
        (1_735_689_599, "untrusted_key"),
        (1_735_689_600, "future_timestamp"),
        (2_051_222_400, "stale_timestamp"),
        (2_051_222_401, "untrusted_key"),
    ] {
        let of_sns =
            |line: &serde_json::Value| line["provider"] == "aws-sns" && line["case"] == "valid_small";
        let mut line = vectors::all_lines().into_iter().find(of_sns).unwrap();
        line["now_unix_s"] = now.into();
        let outcome = vectors::case(&line).run(&profile("aws-sns"));
        assert_eq!(outcome.reason.as_deref(), Some(reason), "{now}");
    }
}

fn filled(text: &str, url: &str, headers: &Vec<(String, Vec<u8>)>, body: &str) -> Result<String, Reject> {
    let body = Body::new(body.as_bytes().to_vec(), ContentKind::Json);
    let template = Template::compile(text).unwrap();
    let pieces = template.fill(&request(url, headers, &body), Some("7"))?;
    Ok(String::from_utf8(mac::concatenated(&pieces)).unwrap())
}

#[test]
fn literal_text_is_signed_wherever_it_stands() {
    assert_eq!(filled("v0:{ts}.{body}!", "/", &Vec::new(), "{}"), Ok("v0:7.{}!".to_owned()));
    assert_eq!(filled("plain", "/", &Vec::new(), "{}"), Ok("plain".to_owned()));
    assert_eq!(filled("{{\"a\":{{{ts}}}", "/", &Vec::new(), "{}"), Ok("{\"a\":{7}}".to_owned()));
}

#[test]
fn path_query_and_digest_are_signed_as_they_were_sent() {
    let url = "https://a.example/x%20y/?b=1&c=%2F#d";
    for (text, signed) in [
        ("{path}|{query:b}|{query:c}|{query:d}", "/x%20y/|1|/|"),
        ("{body_sha256}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
    ] {
        assert_eq!(filled(text, url, &Vec::new(), "{}"), Ok(signed.to_owned()), "{text}");
    }
    assert_eq!(filled("{path}", "/in?a=/b", &Vec::new(), "{}"), Ok("/in".to_owned()));
}

#[test]
fn a_delivery_with_nothing_of_what_is_signed_is_refused() {
    let refused = |text: &str, body: &str| filled(text, "/", &Vec::new(), body).is_err();
    for text in [
        "{json:/typo}",
        "a{json:/a}:{form:b}",
        "{members:data/id}",
        "{ts}.{query:id}",
        "{listed_headers:x}{param:p}",
    ] {
        assert!(refused(text, "{\"id\":1}"), "{text}");
    }
    for text in
        ["{json:/id}{json:/typo}", "{members:data/id,id}", "{method}", "{ts}", "fixed", "{json:/a}{url}"]
    {
        assert!(!refused(text, "{\"id\":1}"), "{text}");
    }
    assert!(!refused("{body}", ""), "a body may be empty");
}

#[test]
fn a_placeholder_without_what_it_needs_is_none() {
    for text in [
        "{members:}",
        "{listed_headers:}",
        "{param:}",
        "{h:}",
        "{json:x}",
        "{form:}",
        "{canonical_json_without:x}",
        "{body:x}",
        "{query:}",
        "{path:x}",
        "{{body}{",
        "{}",
        "{body",
    ] {
        assert!(Template::compile(text).is_err(), "{text}");
    }
}

#[test]
fn a_template_covers_what_it_names_and_nothing_else() {
    let covers = |text: &str, locator: Locator| Template::compile(text).unwrap().covers(&locator);
    let (json, form) = (|name: &str| Locator::Json(name.into()), |name: &str| Locator::Form(name.into()));
    let header = |name: &str| Locator::Header(name.into());
    for (text, own, other) in [
        ("{members:a,b}", json("/b"), json("/c")),
        ("{json:/a}", json("/a"), json("/b")),
        ("{form:a}", form("a"), form("b")),
        ("{query:a}", Locator::Query("a".into()), Locator::Query("b".into())),
        ("{h:x-a}", header("X-A"), header("x-b")),
        ("{listed_headers:x-list}", header("x-any"), json("/x-any")),
        ("{body}", Locator::Join { from: Vec::new(), separator: String::new() }, json("/a")),
    ] {
        assert!(covers(text, own), "{text}");
        assert!(!covers(text, other), "{text}");
    }
    let join = |names: [&str; 2]| Locator::Join { from: names.map(json).to_vec(), separator: ":".into() };
    assert!(
        covers("{json:/a}{json:/b}", join(["/a", "/b"])) && !covers("{json:/a}{json:/b}", join(["/a", "/c"]))
    );
}

#[test]
fn listed_headers_are_signed_in_the_order_of_their_names_and_missing_ones_are_passed_over() {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let listed = |list: &str| {
        let headers = vec![header("X-List", list), header("b", "2"), header("A", " 1 ")];
        filled("{listed_headers:x-list}", "/", &headers, "{}")
    };
    assert_eq!(listed("B, missing,a,b"), Ok("a:1;b:2".to_owned()));
    let of_length = |bytes: usize| format!("a,{}", "x".repeat(bytes - 2));
    assert_eq!(listed(&of_length(SIGNATURE_HEADER_BYTES_MAX)), Ok("a:1".to_owned()));
    for bytes in [SIGNATURE_HEADER_BYTES_MAX + 1, SIGNATURE_HEADER_BYTES_MAX + 2] {
        assert_eq!(listed(&of_length(bytes)).unwrap_err().reason, Reason::MalformedSignature);
    }
}

#[test]
fn a_listed_header_that_may_be_read_as_several_is_refused() {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let signed = |list: &str, a: &str| {
        let headers = vec![header("x-list", list), header("a", a), header("x-time", "1")];
        filled("{listed_headers:x-list}", "/", &headers, "{}").ok()
    };
    let genuine = "a:text/plain; charset=utf-8;x-list:a,x-list,x-time;x-time:1";
    assert_eq!(signed("a,x-list,x-time", "text/plain; charset=utf-8").as_deref(), Some(genuine));
    assert_eq!(
        signed("a,x-list,x-time;x-time:1", "text/plain; charset=utf-8"),
        None,
        "the time is not listed"
    );
    assert_eq!(signed("a", genuine.strip_prefix("a:").unwrap()), None, "nor is it within another header");
    assert_eq!(signed("a", "1;b:2"), None);
    assert_eq!(signed("a", "b:2; c :3").as_deref(), Some("a:b:2; c :3"));
}

#[test]
fn a_time_in_digits_is_read_without_sign_and_up_to_its_length() {
    let read = |text: &str, format| timestamp::read(text, format).ok();
    for text in ["", "+5", "-5", " 5", "5.0", "0000000000005"] {
        assert_eq!(read(text, TimeFormat::UnixS), None, "{text}");
    }
    assert_eq!(read("000000000005", TimeFormat::UnixS), Some(5_000));
    assert_eq!(read("000000000000005", TimeFormat::UnixMs), Some(5));
    assert_eq!(read("0000000000000005", TimeFormat::UnixMs), None);
    assert_eq!(read("000000000000005999", TimeFormat::UnixUs), Some(5));
    assert_eq!(read("0000000000000005999", TimeFormat::UnixUs), None);
}

#[test]
fn a_date_is_read_in_the_one_form_in_which_it_is_sent() {
    let read = |text: &str| timestamp::read(text, TimeFormat::HttpDate).ok();
    assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
    for text in [
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Thu, 31 Nov 2026 00:00:00 GMT",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_time_that_is_written_is_read_again() {
    for format in
        [TimeFormat::UnixS, TimeFormat::UnixMs, TimeFormat::UnixUs, TimeFormat::Rfc3339, TimeFormat::HttpDate]
    {
        let time = NOW - NOW % 1_000;
        assert_eq!(timestamp::read(&timestamp::write(time, format), format), Ok(time), "{format:?}");
    }
    assert_eq!(timestamp::write(UnixMs::MAX, TimeFormat::HttpDate), "Fri, 31 Dec 9999 23:59:59 GMT");
}

#[test]
fn times_are_compared_in_the_unit_in_which_they_are_written() {
    let fresh = |format, time: UnixMs, now: UnixMs| {
        let form =
            TimestampForm { from: None, signature_item: None, format, past_seconds: 300, future_seconds: 0 };
        timestamp::check(time, &form, now).map_err(|reject| reject.reason)
    };
    for format in [TimeFormat::UnixS, TimeFormat::HttpDate] {
        assert_eq!(fresh(format, NOW, NOW + 300_999), Ok(()));
        assert_eq!(fresh(format, NOW, NOW + 301_000), Err(Reason::StaleTimestamp));
        assert_eq!(fresh(format, NOW, NOW - 1), Err(Reason::FutureTimestamp));
    }
    for format in [TimeFormat::UnixMs, TimeFormat::UnixUs, TimeFormat::Rfc3339] {
        assert_eq!(fresh(format, NOW, NOW + 300_000), Ok(()));
        assert_eq!(fresh(format, NOW, NOW + 300_001), Err(Reason::StaleTimestamp));
        assert_eq!(fresh(format, NOW + 1, NOW + 1), Ok(()), "the rest of our second counts");
    }
}

#[test]
fn a_head_that_cannot_be_verified_is_refused_before_its_body() {
    let code = "ab".repeat(32);
    let stripe = |time: &str| vec![("Stripe-Signature", format!("{time}v1={code}"))];
    let slack = |time: Option<&str>| {
        let mut headers = vec![("X-Slack-Signature", format!("v0={code}"))];
        headers.extend(time.map(|time| ("X-Slack-Request-Timestamp", time.to_owned())));
        headers
    };
    for (name, headers, reason) in [
        ("stripe", stripe("t=1,"), None),
        ("stripe", stripe(""), Some(Reason::MalformedSignature)),
        ("stripe", stripe("t=,"), Some(Reason::MissingTimestamp)),
        ("stripe", stripe("t=soon,"), Some(Reason::MalformedTimestamp)),
        ("slack", slack(Some("1")), None),
        ("slack", slack(None), Some(Reason::MissingTimestamp)),
        ("slack", slack(Some("")), Some(Reason::MissingTimestamp)),
        ("slack", slack(Some("soon")), Some(Reason::MalformedTimestamp)),
        ("gitlab", vec![("X-Gitlab-Token", "any".to_owned())], None),
        ("gitlab", vec![("X-Gitlab-Token", String::new())], Some(Reason::MissingSignature)),
        ("google-pubsub", vec![("Authorization", "Bearer a.b.c".to_owned())], None),
        ("google-pubsub", Vec::new(), Some(Reason::MissingSignature)),
        ("cloudevents", Vec::new(), None),
        ("envelope", vec![("X-Palyra-Signature", "nonsense".to_owned())], Some(Reason::MalformedSignature)),
        ("envelope", Vec::new(), None),
    ] {
        let headers: Vec<(String, Vec<u8>)> =
            headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
        let refused = profile(name).precheck(&headers).err();
        assert_eq!(refused.map(|reject| reject.reason), reason, "{name} {headers:?}");
    }
}

#[test]
fn a_delivery_is_described_with_its_signed_time_wherever_that_stands() {
    for name in ["stripe", "slack", "standard-webhooks", "envelope"] {
        let profile = profile(name);
        let signed = signed(&profile, None, &keys(SECRET));
        let headers: Vec<(String, Vec<u8>)> =
            signed.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        let body = Body::new(signed.body.clone(), ContentKind::Json);
        assert_eq!(profile.describe(&request(URL, &headers, &body)).occurred_at, Some(NOW), "{name}");
    }
}

#[test]
fn a_digest_of_what_is_signed_is_told_only_where_that_is_not_just_the_body() {
    for (name, told) in [("github", false), ("stripe", true)] {
        let profile = profile(name);
        let signed = signed(&profile, None, &keys(SECRET));
        let verified = verify_signed(&profile, &signed, &keys(SECRET), NOW).unwrap();
        assert_eq!(verified.signed_digest.is_some(), told, "{name}");
    }
}

#[test]
fn a_body_that_was_changed_by_accident_is_noticed_by_its_checksum_too() {
    for (text, noticed) in [
        ("{ts}.{body}", true),
        ("{sorted_form}", true),
        ("{body_sha256}", true),
        ("{ts}{body_crc32}", true),
        ("{ts}{json:/id}", false),
    ] {
        assert_eq!(Template::compile(text).unwrap().notices_body(), noticed, "{text}");
    }
}

#[test]
fn path_and_query_are_encoded_as_javascript_does() {
    // encodeURI(path + "?" + encodeURIComponent(query)), as Node.js gives it.
    for (url, encoded) in [
        ("https://a.example/x y/ä?b=1&c=/#d", "/x%20y/%C3%A4?b%253D1%2526c%253D%252F"),
        ("/plain;,/?", "/plain;,/"),
        ("/plain", "/plain"),
    ] {
        assert_eq!(filled("{uri_encoded}", url, &Vec::new(), "{}"), Ok(encoded.to_owned()), "{url}");
    }
}

#[test]
fn a_provider_that_signs_nothing_verifies_nothing() {
    let (hub, headers, body) =
        (profile("docker-hub"), Vec::new(), Body::new(b"{}".to_vec(), ContentKind::Json));
    let request = request("/", &headers, &body);
    assert!(!hub.authenticates() && !hub.authenticates_such(&request));
    assert_eq!(hub.precheck(&headers).unwrap_err().reason, Reason::MissingSignature);
    assert!(matches!(hub.verify(&request, &keys(SECRET), NOW), Err(VerifyError::Rejected(_))));
}
