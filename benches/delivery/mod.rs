//! One signed delivery and the pure steps of its path: the daemon's own code, in the order of the ingress.

use std::sync::Arc;

use palyra_actors::ids::{Digest, Hashed};
use palyra_actors::journal::{BodyFormat, NewEvent, NewRow, ReplayClaim, Verdict};
use palyra_actors::judging::{self, Judgement, Names};
use palyra_actors::provider::{
    Body, Catalogue, ContentKind, Headers, Parameters, Profile, Request, SignDraft, Verified,
};
use palyra_actors::registry::IntegrationRecord;
use palyra_actors::secret::{Secret, SecretVersion, SecretVersions};
use serde_json::json;

/// The time of everything, Unix ms.
pub const NOW: u64 = 1_760_000_000_000;
/// The secret of every profile except those that use key pairs.
pub const SECRET: &str = "00112233445566778899aabbccddeeff";
const URL: &str = "https://hooks.example.test/hooks/gh";
const BODY_BYTES: usize = 1_200;

/// A delivery, and what the daemon has loaded when it arrives.
pub struct Delivery {
    profile: Arc<Profile>,
    record: IntegrationRecord,
    keys: SecretVersions,
    parameters: Parameters,
    headers: Vec<(String, Vec<u8>)>,
    kind: ContentKind,
    /// The bytes from the wire.
    pub raw: Vec<u8>,
}

impl Delivery {
    /// A delivery of the built-in profile `name`, verified with `secret`, and signed with it or with a private key in PEM.
    pub fn of(name: &str, secret: &[u8], private_key: Option<&[u8]>) -> Self {
        let profile = Arc::clone(Catalogue::built_in().unwrap().get(name).expect("there is such a profile"));
        let version = || SecretVersion { version: 1, secret: Secret::new(secret.to_vec()) };
        let (parameters, payload) = (Parameters::new(), payload());
        let draft = SignDraft {
            event: "push",
            payload: Some(payload.as_bytes()),
            now: NOW,
            random: 7,
            url: URL,
            parameters: &parameters,
            private_key,
            mutation: None,
        };
        let signed = profile.sign(&draft, &version()).expect("it can be signed");
        let headers = signed.headers.into_iter().map(|(name, value)| (name, value.into_bytes()));
        let headers: Vec<(String, Vec<u8>)> = headers.collect();
        let kind = profile.content_kind(&headers).expect("it is typed");
        let record = json!({"integration_id": "gh", "provider": name, "enabled": true});
        let record = serde_json::from_value(record).unwrap();
        let keys = SecretVersions::new(vec![version()]).unwrap();
        Self { profile, record, keys, parameters, headers, kind, raw: signed.body }
    }

    /// A delivery of GitHub.
    pub fn of_github() -> Self {
        Self::of("github", SECRET.as_bytes(), None)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> &[u8] {
        self.headers.first(name).expect("it is set").0
    }

    /// Its body, not yet parsed.
    pub fn body(&self) -> Body {
        Body::new(self.raw.clone(), self.kind)
    }

    /// The request around `body`.
    pub fn request<'a>(&'a self, body: &'a Body) -> Request<'a> {
        Request { method: "POST", url: URL, headers: &self.headers, body, parameters: &self.parameters }
    }

    /// Checks the head.
    pub fn precheck(&self) {
        self.profile.precheck(&self.headers).expect("its head is in order");
    }

    /// Verifies it.
    pub fn verify(&self, request: &Request<'_>) -> Verified {
        self.profile.verify(request, &self.keys, NOW).expect("it is authentic")
    }

    /// The names that its profile extracts from it.
    pub fn names(&self, request: &Request<'_>) -> Names {
        Names::of(self.profile.describe(request), &self.profile, NOW)
    }

    /// Its replay key.
    pub fn key(&self, verified: &Verified, request: &Request<'_>) -> Digest {
        self.profile.replay_key("gh", verified, request)
    }

    /// Judges it; it must be accepted.
    pub fn judge(&self, body: &Body, names: &Names, key: Digest) -> BodyFormat {
        match judging::judge(&self.record, &self.profile, body, names, key) {
            Judgement::Accept(format) => format,
            other => panic!("{other:?}"),
        }
    }

    /// Its row, under the key of number `n`.
    pub fn row(&self, names: &Names, n: u64) -> NewRow {
        let (body, key) = (Hashed::from(self.raw.clone()), Digest::of(&n.to_be_bytes()));
        let claim = ReplayClaim {
            key,
            body: body.digest(),
            verdict: Verdict::Accepted,
            expires_at: NOW + 1_000_000,
            is_whole: true,
            retries_differ: false,
        };
        let event = judging::webhook_event(&self.record, names.clone(), Some(1), body, BodyFormat::Json);
        NewRow { event: NewEvent::Webhook(event), claim: Some(claim) }
    }
}

/// A push of [`BODY_BYTES`].
fn payload() -> String {
    let commit =
        r#"{"id":"7638417db6d59f3c431d3e1f261cc637155684cd","message":"a line of text","distinct":true}"#;
    let head = r#"{"type":"push","repository":{"full_name":"octo/hello","private":false},"commits":["#;
    let commits = [commit; 8].join(",");
    let filled = head.len() + commits.len() + r#"],"text":""}"#.len();
    format!("{head}{commits}],\"text\":\"{}\"}}", "x".repeat(BODY_BYTES - filled))
}
