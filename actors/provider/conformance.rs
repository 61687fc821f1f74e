//! Signed requests that a provider's own library accepts or refuses, to check that a profile agrees with it.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::{Deserialize, Serialize, Serializer};

use super::{Body, ContentKind, Parameters, Profile, Reason, Request, VerifyError};
use crate::secret::{Secret, SecretVersion, SecretVersions};

/// One request with its expected outcome; a line of a vector file. Members that are not listed here are notes for people.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub provider: String,
    pub case: String,
    /// The shared secret; it is used in the test only.
    secret: Option<String>,
    /// The public key, certificate or JWK set, if there is one.
    public_key: Option<String>,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body_base64: String,
    /// The time at which the case is verified.
    now_unix_s: u64,
    #[serde(default)]
    config: Parameters,
    expect: Expected,
    reason: Option<Reason>,
    event_type: Option<String>,
    delivery_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Accept,
    Reject,
}

/// The expected or actual outcome of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    #[serde(rename = "verdict")]
    pub end: CaseEnd,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Name of the event, if accepted.
    pub event: Option<String>,
    /// The delivery id, if accepted.
    pub delivery_id: Option<String>,
}

/// The expected or actual end of a case. Written as `accept`, `reject`, or the reason why it is undecided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseEnd {
    /// The delivery is authentic.
    Accept,
    /// The delivery is not authentic.
    Reject,
    /// Undecided, for this reason.
    Untold(String),
}

impl CaseEnd {
    /// Its written form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Untold(why) => why,
        }
    }
}

impl Serialize for CaseEnd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Outcome {
    /// Whether it matches `expected`; members missing there are not compared.
    pub fn agrees_with(&self, expected: &Self) -> bool {
        let fits = |own: &Option<String>, wanted: &Option<String>| wanted.is_none() || own == wanted;
        self.end == expected.end
            && fits(&self.reason, &expected.reason)
            && fits(&self.event, &expected.event)
            && fits(&self.delivery_id, &expected.delivery_id)
    }

    /// Undecided because of `why`.
    pub fn untold(why: impl Into<String>) -> Self {
        Self::of(CaseEnd::Untold(why.into()))
    }

    /// An end without further details.
    fn of(end: CaseEnd) -> Self {
        Self { end, reason: None, event: None, delivery_id: None }
    }
}

impl Case {
    /// The expected outcome.
    pub fn expected(&self) -> Outcome {
        Outcome {
            end: match self.expect {
                Expected::Accept => CaseEnd::Accept,
                Expected::Reject => CaseEnd::Reject,
            },
            reason: self.reason.map(|reason| reason.as_str().to_owned()),
            event: self.event_type.clone(),
            delivery_id: self.delivery_id.clone(),
        }
    }

    /// The headers in the form the engine reads.
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect()
    }

    /// The outcome with `profile`, at the time of the case.
    pub fn run(&self, profile: &Profile) -> Outcome {
        self.run_with(profile, &self.headers())
    }

    /// Like [`Case::run`], with other headers.
    pub fn run_with(&self, profile: &Profile, headers: &Vec<(String, Vec<u8>)>) -> Outcome {
        let Some(keys) = self.keys() else { return Outcome::untold("the case has no key") };
        let Ok(raw) = base64::engine::general_purpose::STANDARD.decode(&self.body_base64) else {
            return Outcome::untold("the body of the case is not Base64");
        };
        let kind = profile.content_kind(headers).unwrap_or(ContentKind::Json);
        let body = Body::new(raw, kind);
        let request =
            Request { method: &self.method, url: &self.url, headers, body: &body, parameters: &self.config };
        match profile.verify(&request, &keys, self.now_unix_s.saturating_mul(1_000)) {
            Ok(_) => {
                let said = profile.describe(&request);
                Outcome { event: said.event, delivery_id: said.delivery_id, ..Outcome::of(CaseEnd::Accept) }
            }
            Err(VerifyError::Rejected(reject)) => {
                Outcome { reason: Some(reject.reason.as_str().to_owned()), ..Outcome::of(CaseEnd::Reject) }
            }
            Err(error) => Outcome::untold(error.to_string()),
        }
    }

    /// The key of the case; `None` if it names none.
    pub(super) fn keys(&self) -> Option<SecretVersions> {
        let key = self.public_key.as_deref().or(self.secret.as_deref())?;
        SecretVersions::new(vec![SecretVersion { version: 1, secret: Secret::new(key.as_bytes().to_vec()) }])
    }
}
