//! Public keys in the forms in which providers hand them out.

use super::*;
use crate::provider::form::{KeyDecoding, KeyForm};

// Made with openssl, as the signatures over `{}` are.
const ED25519_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MCowBQYDK2VwAyEAP/C/WIvDXAV9G3bmrJKRykp5yVQRyJZrGO9PGLsGCUw=\n\
-----END PUBLIC KEY-----\n\
";
const ED25519_SIGNATURE: &str =
    "3xp0usmmY9tCZNOp/fUJ+RxSU83JPtW+X3GYnGxstnuI8CyAlPytq3xKwQS6Gskbi+ASBAK5eL06xztPG33XAw==";
const P256_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEstHFpT3xxih8OKhHL6iU8FaZK82s\n\
96+9hubglSl3WXMZ/fxdTR3UsO5VkR/581sLI+Fua8Q+Dv+bF4wr7tzk3g==\n\
-----END PUBLIC KEY-----\n\
";
const P256_SIGNATURE: &str =
    "MEUCIATegdW9XiCjzeCVeZbAXtIDche+MO6NcAw/ygYkCyl6AiEAqBuweVQYP92zTwLePWcngAUvDi5ffiVHMBbWRemtILQ=";
const RSA_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAh+7wb7noXhXJnd/GSNS5\n\
v0b+iwv56U2s6Kv1zgtVjaZnChyyHb/oNNW4yjwJmHBAyWVFTtWojacyAqhL0xAp\n\
13pm8hbhvdaD1tKzfEcVGyRGP+DwbRGqLDg17K0o00M8oTFo81qb88yI7fleRAva\n\
4F55g66lYYwe7BwEPDDOI6bO7hUlgJItihsMSGq9eCw2nAV8KKOhD+j5Kb87cSt4\n\
v/O8+5dFiOueCRAR2mjCVRuqAjt5MelL+8Jn7Fo0HvoyIAzXvrcB6qGnVlxK49x/\n\
5PMgvgmF7yMn7kLkQLGWxTezynjtXIJKAnZ3dH9WMwyEDjwroBmbBbwP8RIyQPa6\n\
mwIDAQAB\n\
-----END PUBLIC KEY-----\n\
";
const RSA_SHA256_SIGNATURE: &str = "HHpcfu+7eT37vJaZUvuBfcUAuan/rK6J/GlNnZgjVnTMU8cvZEkrphqFMBcmruKbKviiOyoTFgeG+aebpn6m4Y7H6O7i6u7a5WbhQhhW9eyid3RsEZEyGps3AU9xRf759/3fs5+XrUmMGxHPQjwpr121WYV049t9Eh5ecpyXnhXJj+MR1sdZwzIyC9Sv/jyoZbMsKE8rF5rMbFgQzFmuUjJY5xVvKlOhLb3TqGtCo/vi/3SD4XnAjDoQQbdGJSYslFOv4RGJORGu7J31fb6sI+ks2GGt5g0wTIYryr4LwoCAWQQMgrFdmyMxK2tyi8qIUr0ARuHlW7gQexRgHZUNBA==";
const RSA_SHA512_SIGNATURE: &str = "AOMGgAOJU0qF1T9eK0lLy8RQIeF30FDwMKLojtiGdL5//VcXsems/HGbHfR/ZhkgY9334NNZ4cdxmENoSB1UY5ip+n12Gzt7H31i5tX1xKalnbMF/MaoqZtAzJ+ovmsl6LdWe4rEGf9MN64GklOAlslYPCVnxVFzkZRYuk8Q1+JJcwkcdk8hwNvPS1vptzGoIL1oR+aUZabFaE0VFHEp7N5ZxFkyyX7owi2tv34LKTn8sxejJkssJjbI455tpRKXmO+XWTpMJwMXoEFjKvxwYo4FzMMQXmDa0/XbmkHr3hbGYWLzRSQnvd+OoyGj5Gnt7cGSqQ/tX7Lji0ydGnldJQ==";

const P384_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEFAENvNjchcnXJPr8EOXK1TlLd0ovLrKP\n\
noR0NccCO2R/LSgAf6NnH93eN7NJ4b7lLKFB967i8KT/1FOaGsJqO9nNlEwPcmKP\n\
Z09mnb9f87lZhjP4/qlqa3UJQLIStWhV\n\
-----END PUBLIC KEY-----\n\
";
const P384_SIGNATURE: &str = "MGYCMQCQpFU1IEtiDSlpDCVpYZO70AaF6Cx/Qr1AjgJFUfUFyovwO9ATmliuqyI8q3snXgwCMQD1HQQOM+0OEqjTSPpsFg6GOMfmZ0gwdX1f2ti99YmlRE9T9o89l9wh18AXH0txLBk=";
const P384_RAW_SIGNATURE: &str = "kKRVNSBLYg0paQwlaWGTu9AGhegsf0K9QI4CRVH1BcqL8DvQE5pYrqsiPKt7J14M9R0EDjPtDhKo00j6bBYOhjjH5mdIMHV9X9rYvfWJpURPU/aPPZfcIdfAFx9LcSwZ";
const OTHER_RSA_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4QuAp1anKB/knnv/dASE\n\
iPxoW7Oy8P/t75ijFjf1wxJFfspY5Xrkl+W2FLAuGFXDktSuN7JN7Q0ftrSU/fSP\n\
XvjzHcxF2DfRHPqFbwYn0hIrVqG9qvFknmv9zZiHLLd+Dz+95zP2bRNPKvOdsL2D\n\
/oQcIuiTbuuxHWAKwHjvZ8a1dr7Lxvi7RYjqt+e1kOfzJH9kugbgTHcxQ3UEjdib\n\
5Wnm2E8cyy6oKTHEOFs1MT2iJpAfM9OlgSi9Rm0hwhNfuPXOEfVtaT0g9F+wi/82\n\
pDfQ2bQLM94iqr9LqwdLBA1YmGLaQUqxLDspbz1zW7pNEkUeYa6tDbmVS520efPc\n\
NwIDAQAB\n\
-----END PUBLIC KEY-----\n\
";
const RSA_SHA384_SIGNATURE: &str = "iUi7PbQQU88fsYm4a6LaXQ99DRX6Vax09vHkHC0FddcpUrJEFsdX1LKnBaDXKrPxnqf87MTqhNBdUQJcdO7p++kufqi0wNGywCsERb1CYXEaLxyKR2Aeg8kB59Oy/cVp7kVnFFD7pGinEga51Soi+Kp8KYhFyTQD+ToG71U1KbGEiNYX+r+cuBpcM0Gb+88+P6edUrfeXZSGxiCm1zvcqKimVBF9ejibCahVA2HpOh71BvgyNBbxLW+xyJEfOmkBc2EMGzYGMfZelhDE4Nm14YpZtwM2JKRExMw5d6ySiuyc392qHM5/ggnN/+AijvTVOaN2EZmNMb/g2gYUBQ9KGQ==";
const RSA_PSS_SHA256_SIGNATURE: &str = "FQUyWz9Zmb1fVOvFOzuicMl2duPJs+PEKcpnfxGv6cNWQjMEh+d9zeI3SnyPH2PVQcxKQzbYKc+PhDURu2zaXSezT6fP8uhUGIrC8g6aqOLyy2dMUndQkTQrIw9xh0xO2Mgi7xbOawaa1erUps88BLgrIFIraEZvTCZRbLdJdDV4oWie6WPBkUtSK2u/Bsukq1ECoySP5qEdtfJ8wZUPQINLQrsLg6+JKBZuoIFOf17ZS709XgafunfJ0Lv7c5vOZq1NrNpcJDcCWcXXvXvjxT5+iXomsFsjQIW3ls2g+3pYjTIAMwXc2x/QshgWki69wpFmDJwv/ZcJ6ZK0R73/qA==";
const RSA_PSS_SHA384_SIGNATURE: &str = "IN92LpWwzLifD8ao/ywfM+Wk7hnaVNDiyB6YvpRCrWm+eqv5mfI3akooWLcjYg1yTYgv7zMwwTw1CTNnmLq7X3ypZAKK8/iwVeNjmhLw4y1B7zWwzQV3MPn+tK09EOBn+rPfFKmZSlv091JIyqYbTZsGml6vZrrdMbRMGNl8ual3OP6FN2SVm743mWuALrlcRrXokVUUBCvLZr8q3b0vypkxo0dSb87ARxG9vxyf5IiWtWYlPlVT62p1aGHE2/EBRh/aBMmwbw+mrsoQHPM3cQgObu2o8sDGmKxL7VK4giLM18vufVK0OpJ8UroYaTJFA0j19fHK9kWmwLSf8GBtnw==";
const RSA_PSS_SHA512_SIGNATURE: &str = "nDgg2pLaw5WySt0PfGIo5qzODJ5xNZU/IBbRTOCeneUDyoKFZfVSBiyV9clGZQhN8Ieua1XXT1/32P6FbZVriKnaL1cZKafptR3uXqr693gc2w4AcR8CnYv7fD3hxyy9Duz5ErJ5IjyDIalq/M7tVooHq4nnsNJfgjRbEbAYXl5TOSmHgKgc9tuX2NFgz/3OmQL2eotrpToaxhZX5Wf0dEFRqrCAEQW8orOx8kRIbUAZbc2h9mPHgP24uMGRUxIfDO/yLVkeZaS1r4YOvPyRiOOHcTXcIWlpslY18NewvF7HXHPVmudBirpmkCMMK+Bj3zhmAqXkM2ikAdJsve22NA==";

/// What becomes of a delivery with `signature` under `secret`, by a scheme of this kind, algorithm and form of key.
fn verdict(scheme: [&str; 3], secret: &str, signature: &str) -> Result<(), String> {
    let [kind, algorithm, decode] = scheme;
    let text = include_str!("../../../schemas/providers/github.toml")
        .replace("[auth.mac]", &format!("[auth.{kind}]\nkey = {{ decode = \"{decode}\" }}"))
        .replace("hmac-sha256", algorithm)
        .replace("encoding = \"hex\", prefixes = [\"sha256=\"]", "encoding = \"base64\"");
    let profile = load::load("own.toml", &text).unwrap();
    let headers = vec![("x-hub-signature-256".to_owned(), signature.as_bytes().to_vec())];
    let body = Body::new(b"{}".to_vec(), ContentKind::Json);
    let verified = profile.verify(&request("/", &headers, &body), &keys(secret), NOW);
    verified.map(drop).map_err(|error| error.to_string())
}

/// The key without the lines around it.
fn base64_of(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

#[test]
fn a_public_key_is_read_in_pem_and_in_base64_for_every_kind_there_is() {
    for (kind, algorithm, pem, genuine) in [
        ("public_key", "ed25519", ED25519_PEM, ED25519_SIGNATURE),
        ("public_key", "ecdsa-p256-sha256", P256_PEM, P256_SIGNATURE),
        ("public_key", "rsa-sha256", RSA_PEM, RSA_SHA256_SIGNATURE),
        ("public_key", "rsa-sha512", RSA_PEM, RSA_SHA512_SIGNATURE),
        ("public_key", "ecdsa-p384-sha384", P384_PEM, P384_SIGNATURE),
        ("public_key", "ecdsa-p384-sha384-raw", P384_PEM, P384_RAW_SIGNATURE),
        ("public_key", "rsa-sha384", OTHER_RSA_PEM, RSA_SHA384_SIGNATURE),
        ("public_key", "rsa-pss-sha256", OTHER_RSA_PEM, RSA_PSS_SHA256_SIGNATURE),
        ("public_key", "rsa-pss-sha384", OTHER_RSA_PEM, RSA_PSS_SHA384_SIGNATURE),
        ("public_key", "rsa-pss-sha512", OTHER_RSA_PEM, RSA_PSS_SHA512_SIGNATURE),
        ("certificate", "rsa-sha256", RSA_PEM, RSA_SHA256_SIGNATURE),
        ("certificate", "rsa-sha384", OTHER_RSA_PEM, RSA_SHA384_SIGNATURE),
    ] {
        assert_eq!(verdict([kind, algorithm, "pem"], pem, genuine), Ok(()), "{algorithm}");
        let spki = base64_of(pem);
        assert_eq!(verdict([kind, algorithm, "spki_base64"], &spki, genuine), Ok(()), "{algorithm}");
        let mut forged = signature::decode(genuine, Encoding::Base64).unwrap();
        *forged.last_mut().unwrap() ^= 1;
        let forged = signature::encode(&forged, Encoding::Base64);
        let refused = verdict([kind, algorithm, "pem"], pem, &forged).unwrap_err();
        assert!(refused.contains("signature"), "{algorithm}: {refused}");
    }
    let other_digest = verdict(["public_key", "rsa-sha256", "pem"], RSA_PEM, RSA_SHA512_SIGNATURE);
    assert!(other_digest.unwrap_err().starts_with("bad_signature"));
    let padded = verdict(["public_key", "rsa-sha256", "pem"], OTHER_RSA_PEM, RSA_PSS_SHA256_SIGNATURE);
    assert!(padded.unwrap_err().starts_with("bad_signature"));
}

#[test]
fn a_public_key_of_another_kind_is_none() {
    for (algorithm, told, others) in [
        (Algorithm::Ed25519, "Ed25519", [P256_PEM, RSA_PEM]),
        (Algorithm::EcdsaP256Sha256, "P-256", [ED25519_PEM, P384_PEM]),
        (Algorithm::EcdsaP384Sha384, "P-384", [P256_PEM, RSA_PEM]),
        (Algorithm::RsaSha256, "or such a public key, in PEM", [ED25519_PEM, P256_PEM]),
    ] {
        for pem in others {
            for (decode, secret) in
                [(KeyDecoding::Pem, pem.to_owned()), (KeyDecoding::SpkiBase64, base64_of(pem))]
            {
                let form = KeyForm { decode, strip_prefix: None };
                let refused = Key::read(secret.as_bytes(), &form, algorithm).map(drop).unwrap_err();
                assert!(refused.contains(told), "{refused}");
            }
        }
        let private = RSA_PEM.replace("PUBLIC", "PRIVATE");
        let form = KeyForm { decode: KeyDecoding::Pem, strip_prefix: None };
        assert!(Key::read(private.as_bytes(), &form, algorithm).is_err());
    }
}
