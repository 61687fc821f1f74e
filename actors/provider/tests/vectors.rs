//! Requests that the providers' own libraries accept or refuse, each with its own clock (`tests/vectors`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    case: String,
    secret: Option<String>,
    public_key: Option<String>,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body_base64: String,
    now_unix_s: u64,
    #[serde(default)]
    config: Parameters,
    expect: String,
    reason: Option<String>,
    event_type: Option<String>,
    delivery_id: Option<String>,
}

impl Vector {
    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect()
    }

    /// What the engine says, in the words of the vectors.
    fn outcome(&self, profile: &Profile) -> Outcome {
        let headers = self.headers();
        let kind = profile.content_kind(&headers).unwrap_or(ContentKind::Json);
        let raw = base64::engine::general_purpose::STANDARD.decode(&self.body_base64).unwrap();
        let (body, parameters) = (Body::new(raw, kind), &self.config);
        let request =
            Request { method: &self.method, url: &self.url, headers: &headers, body: &body, parameters };
        let key = self.public_key.as_deref().or(self.secret.as_deref()).unwrap();
        match profile.verify(&request, &keys(key), self.now_unix_s * 1_000) {
            Ok(_) => {
                let said = profile.describe(&request);
                ("accept".into(), None, said.event, said.delivery_id)
            }
            Err(VerifyError::Rejected(reject)) => {
                ("reject".into(), Some(reject.reason.as_str().into()), None, None)
            }
            Err(error) => (error.to_string(), None, None, None),
        }
    }

    fn expected(&self) -> Outcome {
        (self.expect.clone(), self.reason.clone(), self.event_type.clone(), self.delivery_id.clone())
    }
}

type Outcome = (String, Option<String>, Option<String>, Option<String>);

fn all() -> Vec<(String, Vec<Vector>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let vectors = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), vectors)
    };
    files.map(read).collect()
}

#[test]
fn every_vector_is_accepted_or_refused_for_the_reason_it_names() {
    let catalogue = Catalogue::built_in().unwrap();
    let (mut run, mut differences) = (0, Vec::new());
    for (provider, vectors) in all() {
        let profile = catalogue.get(&provider).unwrap();
        for vector in vectors {
            run += 1;
            let (outcome, expected) = (vector.outcome(profile), vector.expected());
            if outcome != expected {
                differences.push(format!("{provider}/{}: {outcome:?}, not {expected:?}", vector.case));
            }
        }
    }
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(run, 1_011);
}

#[test]
fn what_the_head_condemns_verification_refuses_for_the_same_reason() {
    let catalogue = Catalogue::built_in().unwrap();
    for (provider, vectors) in all() {
        let profile = catalogue.get(&provider).unwrap();
        for vector in vectors {
            if let Err(reject) = profile.precheck(&vector.headers()) {
                assert_eq!(
                    Some(reject.reason.as_str()),
                    vector.reason.as_deref(),
                    "{provider}/{}",
                    vector.case
                );
            }
        }
    }
}
