//! Signs with a private key, to imitate a provider that has one. Nothing is verified with it.

use ring::rand::SystemRandom;
use ring::signature::{
    self as ring_signature, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaEncoding, RsaKeyPair,
};
use x509_cert::der::pem;
use zeroize::Zeroizing;

use super::algorithm::Algorithm;

/// Signs `content` with `private_key`, which is PKCS #8 (RFC 5958) in PEM, as `openssl genpkey` writes it.
///
/// # Errors
/// Why the key cannot be used, without its value.
pub fn sign(private_key: &[u8], algorithm: Algorithm, content: &[u8]) -> Result<Vec<u8>, String> {
    let no_key = |kind: &str| format!("it is not {kind} in PKCS #8 PEM");
    let (_, der) = pem::decode_vec(private_key).map_err(|_| no_key("a private key"))?;
    let der = Zeroizing::new(der);
    let ecdsa = |algorithm, curve| ecdsa(&der, algorithm, content).ok_or_else(|| no_key(curve));
    let (p256, p384) = ("a key of P-256", "a key of P-384");
    let rsa = |padding| rsa(&der, padding, content).ok_or_else(|| no_key("an RSA key of 2,048 bits or more"));
    match algorithm {
        Algorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
            Ok(pair.map_err(|_| no_key("an Ed25519 key"))?.sign(content).as_ref().to_vec())
        }
        Algorithm::EcdsaP256Sha256 => ecdsa(&ring_signature::ECDSA_P256_SHA256_ASN1_SIGNING, p256),
        Algorithm::EcdsaP256Sha256Raw => ecdsa(&ring_signature::ECDSA_P256_SHA256_FIXED_SIGNING, p256),
        Algorithm::EcdsaP384Sha384 => ecdsa(&ring_signature::ECDSA_P384_SHA384_ASN1_SIGNING, p384),
        Algorithm::EcdsaP384Sha384Raw => ecdsa(&ring_signature::ECDSA_P384_SHA384_FIXED_SIGNING, p384),
        Algorithm::RsaSha256 => rsa(&ring_signature::RSA_PKCS1_SHA256),
        Algorithm::RsaSha384 => rsa(&ring_signature::RSA_PKCS1_SHA384),
        Algorithm::RsaSha512 => rsa(&ring_signature::RSA_PKCS1_SHA512),
        Algorithm::RsaPssSha256 => rsa(&ring_signature::RSA_PSS_SHA256),
        Algorithm::RsaPssSha384 => rsa(&ring_signature::RSA_PSS_SHA384),
        Algorithm::RsaPssSha512 => rsa(&ring_signature::RSA_PSS_SHA512),
        _ => Err(format!("no key pair signs with {}", algorithm.as_str())),
    }
}

fn rsa(der: &[u8], padding: &'static dyn RsaEncoding, content: &[u8]) -> Option<Vec<u8>> {
    let pair = RsaKeyPair::from_pkcs8(der).ok()?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(padding, &SystemRandom::new(), content, &mut signature).ok()?;
    Some(signature)
}

fn ecdsa(der: &[u8], algorithm: &'static EcdsaSigningAlgorithm, content: &[u8]) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, der, &random).ok()?;
    Some(pair.sign(&random, content).ok()?.as_ref().to_vec())
}
