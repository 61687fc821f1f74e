//! The algorithms that signatures may be made with. The profile decides which one; a request can at most choose among
//! those that the profile lists.

use serde::Deserialize;

/// Algorithms of signed content, by their names in a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC-SHA-1 (RFC 2104).
    HmacSha1,
    /// HMAC-SHA-256.
    HmacSha256,
    /// HMAC-SHA-384.
    HmacSha384,
    /// HMAC-SHA-512.
    HmacSha512,
    /// SHA-256 over content that includes the secret.
    Sha256,
    /// Ed25519 (RFC 8032), verified strictly.
    Ed25519,
    /// ECDSA over P-256 with SHA-256, DER-encoded.
    EcdsaP256Sha256,
    /// ECDSA over P-256 with SHA-256, as two numbers of 32 bytes (RFC 7518 §3.4).
    EcdsaP256Sha256Raw,
    /// ECDSA over P-384 with SHA-384, DER-encoded.
    EcdsaP384Sha384,
    /// ECDSA over P-384 with SHA-384, as two numbers of 48 bytes (RFC 7518 §3.4).
    EcdsaP384Sha384Raw,
    /// RSASSA-PKCS1-v1_5 with SHA-1.
    RsaSha1,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaSha512,
    /// RSASSA-PSS with SHA-256, also in MGF1, and a salt of 32 bytes (RFC 8017 §8.1).
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    RsaPssSha512,
}

/// What verifies a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The secret that also signs.
    Shared,
    /// An Ed25519 public key.
    Ed25519,
    /// A point of P-256.
    P256,
    /// A point of P-384.
    P384,
    /// An RSA public key.
    Rsa,
}

impl Algorithm {
    /// The kind of key it needs.
    pub fn key_kind(self) -> KeyKind {
        match self {
            Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha384 | Self::HmacSha512 | Self::Sha256 => {
                KeyKind::Shared
            }
            Self::Ed25519 => KeyKind::Ed25519,
            Self::EcdsaP256Sha256 | Self::EcdsaP256Sha256Raw => KeyKind::P256,
            Self::EcdsaP384Sha384 | Self::EcdsaP384Sha384Raw => KeyKind::P384,
            Self::RsaSha1
            | Self::RsaSha256
            | Self::RsaSha384
            | Self::RsaSha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => KeyKind::Rsa,
        }
    }

    /// Its name in a profile.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
            Self::Sha256 => "sha256",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP256Sha256Raw => "ecdsa-p256-sha256-raw",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::EcdsaP384Sha384Raw => "ecdsa-p384-sha384-raw",
            Self::RsaSha1 => "rsa-sha1",
            Self::RsaSha256 => "rsa-sha256",
            Self::RsaSha384 => "rsa-sha384",
            Self::RsaSha512 => "rsa-sha512",
            Self::RsaPssSha256 => "rsa-pss-sha256",
            Self::RsaPssSha384 => "rsa-pss-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
        }
    }
}

/// Algorithms of tokens, by their names in a token (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum JwtAlgorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "HS384")]
    Hs384,
    #[serde(rename = "HS512")]
    Hs512,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "PS384")]
    Ps384,
    #[serde(rename = "PS512")]
    Ps512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    /// Only with Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwtAlgorithm {
    /// How the token is signed.
    pub fn signature(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HmacSha256,
            Self::Hs384 => Algorithm::HmacSha384,
            Self::Hs512 => Algorithm::HmacSha512,
            Self::Rs256 => Algorithm::RsaSha256,
            Self::Rs384 => Algorithm::RsaSha384,
            Self::Rs512 => Algorithm::RsaSha512,
            Self::Ps256 => Algorithm::RsaPssSha256,
            Self::Ps384 => Algorithm::RsaPssSha384,
            Self::Ps512 => Algorithm::RsaPssSha512,
            Self::Es256 => Algorithm::EcdsaP256Sha256Raw,
            Self::Es384 => Algorithm::EcdsaP384Sha384Raw,
            Self::EdDsa => Algorithm::Ed25519,
        }
    }

    /// Whether the secret that verifies tokens also signs them.
    pub fn is_shared(self) -> bool {
        self.signature().key_kind() == KeyKind::Shared
    }

    /// Its name in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}
