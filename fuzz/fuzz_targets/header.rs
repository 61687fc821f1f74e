//! Bytes as the one header a profile reads its signature from, for every profile: none of them verifies.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use palyra_actors::provider::{Body, Catalogue, ContentKind, Parameters, Request};
use palyra_actors::secret::{Secret, SecretVersion, SecretVersions};

const NOW_UNIX_MS: u64 = 1_767_323_045_000;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::built_in().expect("the profiles can be read"));
static PARAMETERS: Parameters = Parameters::new();

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let Some(profile) = CATALOGUE.iter().nth(usize::from(*which) % CATALOGUE.names().count()) else { return };
    if profile.summary().scheme == "none" {
        return;
    }
    let (header, body) = rest.split_at(rest.len() / 2);
    let names = profile.summary().signature.into_iter();
    let mut headers: Vec<(String, Vec<u8>)> = names
        .filter_map(|place| Some((place.strip_prefix("header ")?.to_owned(), header.to_vec())))
        .collect();
    headers.push(("webhook-timestamp".to_owned(), b"1767323045".to_vec()));
    let secret = Secret::new(b"6ba1e5f04c3d2978".to_vec());
    let keys = SecretVersions::new(vec![SecretVersion { version: 1, secret }]).expect("there is one");
    let body = Body::new(body.to_vec(), ContentKind::Json);
    let request = Request {
        method: "POST",
        url: "https://hooks.example.test/hooks/in",
        headers: &headers,
        body: &body,
        parameters: &PARAMETERS,
    };
    assert!(profile.verify(&request, &keys, NOW_UNIX_MS).is_err());
    let said = profile.describe(&request);
    assert!(said.delivery_id.is_none_or(|id| id.len() <= 256));
});
