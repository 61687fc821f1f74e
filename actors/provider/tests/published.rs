//! What is read from the addresses at which providers publish their keys.

use super::tokens::Issuer;
use super::*;

/// What `aws-sns` and `google-pubsub` read from the answer of a key server.
fn read_published(profile: &Profile, text: &str) -> Result<(), String> {
    let (headers, parameters) = (Vec::new(), Parameters::new());
    let body = r#"{"Type":"Notification","SignatureVersion":"2","SigningCertURL":"https://sns.eu-west-1.amazonaws.com/a.pem"}"#;
    let body = Body::new(body.as_bytes().to_vec(), ContentKind::Json);
    let request = Request { parameters: &parameters, ..request("/", &headers, &body) };
    let published = profile.published(&request).unwrap().unwrap();
    let read = published.read(text.as_bytes(), &Roots::web(), NOW);
    read.map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_published_document_without_a_usable_key_is_refused() {
    let (pubsub, sns) = (profile("google-pubsub"), profile("aws-sns"));
    let vectors = vectors::all_lines();
    let secret = |of: &str| {
        let cases = vectors.iter().map(vectors::case);
        let keys = cases.filter(|case| case.provider == of).find_map(|case| case.keys()).unwrap();
        String::from_utf8(keys.iter().next().unwrap().secret.expose().to_vec()).unwrap()
    };
    let (set, certificate) = (secret("google-pubsub"), secret("aws-sns"));
    assert_eq!(read_published(&pubsub, &set), Ok(()));
    assert_eq!(read_published(&pubsub, &set.replacen('[', "[7,", 1)), Ok(()), "and one that is odd");
    assert_eq!(read_published(&sns, &certificate), Ok(()));
    for document in ["{\"keys\":[]}", &Issuer::new().jwks(), "{}", "<html>"] {
        let told = read_published(&pubsub, document).unwrap_err();
        assert!(told.contains("a JWK set") && !told.contains("secret"), "{told}");
    }
    for document in ["", "<html>", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let told = read_published(&sns, document).unwrap_err();
        assert!(told.contains("not a certificate") && !told.contains("secret"), "{told}");
    }
}
