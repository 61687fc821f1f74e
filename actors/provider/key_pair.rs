//! Signs with a private key, to imitate a provider that has one. Nothing is verified with it.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use x509_cert::der::pem;
use zeroize::Zeroizing;

/// Algorithms to sign with a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairAlgorithm {
    /// Ed25519.
    Ed25519,
    /// ECDSA over P-256 with SHA-256, DER-encoded.
    EcdsaDer,
    /// ECDSA over P-256 with SHA-256, as two numbers of 32 bytes (RFC 7518 §3.4).
    EcdsaFixed,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaSha512,
    /// RSASSA-PSS with SHA-256.
    RsaPssSha256,
}

/// Signs `content` with `private_key`, which is PKCS #8 (RFC 5958) in PEM, as `openssl genpkey` writes it.
///
/// # Errors
/// Why the key cannot be used, without its value.
pub fn sign(private_key: &[u8], algorithm: PairAlgorithm, content: &[u8]) -> Result<Vec<u8>, String> {
    let no_key = |kind: &str| format!("it is not {kind} in PKCS #8 PEM");
    let (_, der) = pem::decode_vec(private_key).map_err(|_| no_key("a private key"))?;
    let der = Zeroizing::new(der);
    match algorithm {
        PairAlgorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
            Ok(pair.map_err(|_| no_key("an Ed25519 key"))?.sign(content).as_ref().to_vec())
        }
        PairAlgorithm::EcdsaDer => ecdsa(&der, &ECDSA_P256_SHA256_ASN1_SIGNING, content),
        PairAlgorithm::EcdsaFixed => ecdsa(&der, &ECDSA_P256_SHA256_FIXED_SIGNING, content),
        PairAlgorithm::RsaSha256 => rsa(&der, &RSA_PKCS1_SHA256, content),
        PairAlgorithm::RsaSha512 => rsa(&der, &RSA_PKCS1_SHA512, content),
        PairAlgorithm::RsaPssSha256 => rsa(&der, &RSA_PSS_SHA256, content),
    }
}

fn rsa(der: &[u8], padding: &'static dyn RsaEncoding, content: &[u8]) -> Result<Vec<u8>, String> {
    let pair = RsaKeyPair::from_pkcs8(der);
    let pair = pair.map_err(|_| "it is not an RSA key of 2,048 bits or more in PKCS #8 PEM".to_owned())?;
    let mut signature = vec![0; pair.public().modulus_len()];
    let signed = pair.sign(padding, &SystemRandom::new(), content, &mut signature);
    signed.map(|()| signature).map_err(|_| "it cannot sign".to_owned())
}

fn ecdsa(der: &[u8], algorithm: &'static EcdsaSigningAlgorithm, content: &[u8]) -> Result<Vec<u8>, String> {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, der, &random);
    let pair = pair.map_err(|_| "it is not a key of P-256 in PKCS #8 PEM".to_owned())?;
    let signature = pair.sign(&random, content).map_err(|_| "it cannot sign".to_owned())?;
    Ok(signature.as_ref().to_vec())
}
