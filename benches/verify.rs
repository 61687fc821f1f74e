//! What verifying a delivery costs, against the bare code over the same bytes, in one run.
//!
//! `cargo bench --bench verify`

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use palyra_actors::provider::{Body, Catalogue, ContentKind, Parameters, Profile, Request, SignDraft};
use palyra_actors::secret::{Secret, SecretVersion, SecretVersions};
use sha2::Sha256;

const SECRET: &str = "00112233445566778899aabbccddeeff";
const BODY_BYTES: usize = 1_200;
const NOW: u64 = 1_760_000_000_000;
/// One of each way to sign; others can be named as arguments.
const PROFILES: [&str; 7] =
    ["github", "shopify", "stripe", "standard-webhooks", "hubspot-v3", "square", "gitlab"];
const ROUNDS: usize = 41;
const ITERATIONS: u32 = 2_000;

fn main() {
    println!("verifying {BODY_BYTES} bytes; medians of {ROUNDS} rounds of {ITERATIONS}, taken in turns\n");
    println!("{:<18} {:>10} {:>12} {:>8}", "profile", "ns", "bare HMAC ns", "ratio");
    let catalogue = Catalogue::built_in().unwrap();
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    for name in if named.is_empty() { &PROFILES } else { named.as_slice() } {
        let (verify, bare) = measure(catalogue.get(name).expect("there is such a profile"));
        println!("{name:<18} {verify:>10.0} {bare:>12.0} {:>8.2}", verify / bare);
    }
}

/// Nanoseconds for one verification, and for the bare code over the same body. The two take turns, so that a busy
/// machine is busy for both.
fn measure(profile: &Profile) -> (f64, f64) {
    let text = format!("{{\"type\":\"push\",\"text\":\"{}\"}}", "a".repeat(BODY_BYTES - 26));
    let version = || SecretVersion { version: 1, secret: Secret::new(SECRET.as_bytes().to_vec()) };
    let parameters = Parameters::new();
    let draft = SignDraft {
        event: "push",
        payload: Some(text.as_bytes()),
        now: NOW,
        random: 7,
        url: "https://hooks.example.test/hooks/a",
        parameters: &parameters,
        private_key: None,
        mutation: None,
    };
    let signed = profile.sign(&draft, &version()).expect("it signs with the secret");
    let headers: Vec<(String, Vec<u8>)> = signed
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.into_bytes()))
        .collect();
    let keys = SecretVersions::new(vec![version()]).unwrap();
    let body = Body::new(signed.body, ContentKind::Json);
    let request =
        Request { method: "POST", url: draft.url, headers: &headers, body: &body, parameters: &parameters };
    let verify = || {
        black_box(profile.verify(black_box(&request), &keys, NOW)).unwrap();
    };
    let bare = || {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(black_box(body.raw()));
        black_box(mac.finalize());
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(nanoseconds(verify));
        theirs.push(nanoseconds(bare));
    }
    (median(ours), median(theirs))
}

fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..ITERATIONS {
        work();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ITERATIONS)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
