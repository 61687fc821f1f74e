//! Public keys that have the form of one and can verify nothing, or anything.

use x509_cert::der::Encode;
use x509_cert::der::asn1::{Any, BitString, ObjectIdentifier, SequenceOf, UintRef};
use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfoOwned};

use super::*;

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// A public key (RFC 5280 §4.1) in Base64.
fn spki(algorithm: &str, curve: Option<ObjectIdentifier>, key: &[u8]) -> String {
    let parameters = curve.as_ref().map(|curve| Any::encode_from(curve).unwrap());
    let algorithm = AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap(algorithm), parameters };
    let subject_public_key = BitString::from_bytes(key).unwrap();
    let info = SubjectPublicKeyInfoOwned { algorithm, subject_public_key };
    signature::encode(&info.to_der().unwrap(), Encoding::Base64)
}

fn rsa(modulus: &[u8], exponent: u64) -> String {
    let exponent = exponent.to_be_bytes();
    let mut numbers = SequenceOf::<UintRef<'_>, 2>::new();
    numbers.add(UintRef::new(modulus).unwrap()).unwrap();
    numbers.add(UintRef::new(&exponent).unwrap()).unwrap();
    spki("1.2.840.113549.1.1.1", None, &numbers.to_der().unwrap())
}

fn point(curve: ObjectIdentifier, prefix: u8, coordinates: &[u8]) -> String {
    spki("1.2.840.10045.2.1", Some(curve), &[&[prefix], coordinates].concat())
}

/// What the check of a secret of a profile with this algorithm says.
fn checked(algorithm: &str, decode: &str, secret: &str) -> Result<(), String> {
    let text = include_str!("../../../schemas/providers/github.toml")
        .replace("[auth.mac]", &format!("[auth.public_key]\nkey = {{ decode = \"{decode}\" }}"))
        .replace("hmac-sha256", algorithm);
    let profile = load::load("own.toml", &text).unwrap();
    profile.check_keys(&keys(secret)).map_err(|unusable| unusable.reason)
}

#[test]
fn an_rsa_key_has_an_odd_modulus_and_an_odd_exponent_of_bounded_size() {
    let mut odd = [0xc5; 256];
    let says = |modulus: &[u8], exponent| checked("rsa-sha256", "spki_base64", &rsa(modulus, exponent));
    for exponent in [3, 17, 65_537, (1 << 33) - 1] {
        assert_eq!(says(&odd, exponent), Ok(()), "{exponent}");
    }
    for exponent in [0, 1, 2, 65_536, (1 << 33) + 1, u64::MAX] {
        assert!(says(&odd, exponent).unwrap_err().contains("exponent"), "{exponent}");
    }
    odd[255] = 0xc4;
    assert!(says(&odd, 65_537).unwrap_err().contains("modulus is even"));
}

#[test]
fn a_key_of_ecdsa_is_a_point_of_its_curve() {
    for (algorithm, curve, bytes) in [
        ("ecdsa-p256-sha256", P256, 64),
        ("ecdsa-p256-sha256-raw", P256, 64),
        ("ecdsa-p384-sha384", P384, 96),
        ("ecdsa-p384-sha384-raw", P384, 96),
    ] {
        for (prefix, byte) in [(4, 0), (4, 1), (4, 0xff), (5, 1), (6, 1)] {
            let key = point(curve, prefix, &vec![byte; bytes]);
            let said = checked(algorithm, "spki_base64", &key).unwrap_err();
            let told = if prefix == 4 { "not on the curve" } else { "public key" };
            assert!(said.contains(told), "{algorithm} {prefix} {byte}: {said}");
        }
    }
}

#[test]
fn a_key_of_ed25519_is_no_point_of_small_order() {
    for key in [
        // The points of order 1, 2, 4 and 8, and encodings of them that are not canonical (RFC 8032 §5.1.3).
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let said = checked("ed25519", "hex", key).unwrap_err();
        assert!(said.contains("small order"), "{key}: {said}");
    }
}

#[test]
fn a_jwk_is_of_the_type_it_names_and_can_verify() {
    let curve = |byte: u8| signature::encode(&[byte; 32], Encoding::Base64url);
    let modulus = signature::encode(&[0xc5; 256], Encoding::Base64url);
    let rsa = |kty: &str, exponent: &str| serde_json::json!({"kty": kty, "n": modulus, "e": exponent});
    let edwards = |x: &str| serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    for (algorithm, key, is_good) in [
        ("RS256", rsa("RSA", "AQAB"), true),
        ("RS256", rsa("RSA", "AAEAAQ"), true),
        ("RS256", rsa("oct", "AQAB"), false),
        ("RS256", serde_json::json!({"n": modulus, "e": "AQAB"}), false),
        ("RS256", rsa("RSA", "AA"), false),
        ("RS256", rsa("RSA", "AQ"), false),
        ("PS512", rsa("RSA", "Ag"), false),
        ("ES256", serde_json::json!({"kty": "EC", "crv": "P-256", "x": curve(1), "y": curve(1)}), false),
        ("EdDSA", edwards("7dFUOiqfgewxvNmf8cF2LCgmSCGhc71Rmlz7ICNZI1k"), true),
        ("EdDSA", edwards(&curve(0)), false),
    ] {
        let set = serde_json::json!({"keys": [key]}).to_string();
        let said = tokens::with_algorithm(algorithm).check_keys(&keys(&set));
        assert_eq!(said.is_ok(), is_good, "{algorithm} {set}");
    }
}

/// The certificate of the vectors, valid from 2025-01-01 to the first of January of this year. Its signature is not checked.
fn certificate_until(year: u64) -> String {
    let of_sns = |line: &serde_json::Value| line["provider"] == "aws-sns" && line["case"] == "valid_small";
    let line = vectors::all_lines().into_iter().find(of_sns).unwrap();
    let pem = line["public_key"].as_str().unwrap();
    let (label, mut der) = x509_cert::der::pem::decode_vec(pem.as_bytes()).unwrap();
    let end = der.windows(13).position(|text| text == b"350101000000Z").unwrap();
    der[end..end + 2].copy_from_slice(format!("{}", year - 2_000).as_bytes());
    x509_cert::der::pem::encode_string(label, x509_cert::der::pem::LineEnding::LF, &der).unwrap()
}

#[test]
fn of_several_certificates_one_has_to_be_valid() {
    let (sns, old, new) = (profile("aws-sns"), certificate_until(2_026), certificate_until(2_035));
    let in_2026 = 1_780_000_000_000;
    for (secrets, said) in [
        (&[&new[..]][..], None),
        (&[&new, &old], None),
        (&[&old, &new], None),
        (&[&old], Some((1, "valid until 2026-01-01T00:00:00Z"))),
        (&[&old, &old], Some((2, "valid until 2026-01-01T00:00:00Z"))),
    ] {
        let keys = versions(secrets);
        let valid = keys.iter().filter(|version| version.secret.expose() == new.as_bytes());
        let valid: Vec<u32> = valid.map(|version| version.version).collect();
        assert_eq!(sns.usable_versions(&keys, in_2026), valid, "only those verify");
        assert!(sns.check_keys(&keys).is_ok());
        match (sns.check_spans(&keys, in_2026), said) {
            (Ok(()), None) => {}
            (Err(unusable), Some((version, told))) => {
                assert!(unusable.version == version && unusable.reason.contains(told), "{unusable:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}
