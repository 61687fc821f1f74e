//! A provider that publishes its keys: a certificate authority, an HTTPS server, and key pairs.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palyra_actors::clock::{Clock, SystemClock};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

/// A certificate authority; the daemon trusts it only if configured to.
pub struct Authority(pub Issuer<'static, KeyPair>, pub String);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A certificate for `name` (DER), and its private key (PKCS #8).
    pub fn issue(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().der().to_vec(), key.serialize_der())
    }
}

/// An HTTPS server at `localhost` that gives every request the same answer until it is changed, and counts the requests.
pub struct Server {
    pub address: String,
    requests: Arc<AtomicUsize>,
    answers: Arc<AtomicUsize>,
    pub is_away: Arc<AtomicBool>,
    pub pause_ms: Arc<AtomicU64>,
    body: Arc<Mutex<String>>,
}

impl Server {
    pub fn start(authority: &Authority, head: &'static str, body: String) -> Self {
        Self::slow(authority, head, body, Duration::ZERO)
    }

    /// A server that waits for `pause` before each answer.
    pub fn slow(authority: &Authority, head: &'static str, body: String, pause: Duration) -> Self {
        let (certificate, key) = authority.issue("localhost");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key.try_into().unwrap())
            .unwrap();
        let config = Arc::new(config);
        let (requests, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let is_away = Arc::new(AtomicBool::new(false));
        let pause_ms = Arc::new(AtomicU64::new(u64::try_from(pause.as_millis()).unwrap()));
        let body = Arc::new(Mutex::new(body));
        let (counted, away, pause) = (Arc::clone(&requests), Arc::clone(&is_away), Arc::clone(&pause_ms));
        let (answered, said) = (Arc::clone(&answers), Arc::clone(&body));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                let mut request = [0; 4_096];
                // A client that does not trust the certificate disconnects here.
                if stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
                    counted.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(pause.load(Ordering::SeqCst)));
                    let head = if away.load(Ordering::SeqCst) { "HTTP/1.1 500 No" } else { head };
                    answered.fetch_add(1, Ordering::SeqCst);
                    let body = said.lock().unwrap().clone();
                    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).unwrap_or_default();
                    stream.flush().unwrap_or_default();
                }
            }
        });
        Self { address, requests, answers, is_away, pause_ms, body }
    }

    /// Changes the body of the answers from here on.
    pub fn publish(&self, body: String) {
        *self.body.lock().unwrap() = body;
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Whether the newest request has not been answered yet.
    pub fn keeps_waiting(&self) -> bool {
        self.answers.load(Ordering::SeqCst) < self.requests()
    }
}

/// An elliptic-curve key pair, published as a JWK set, and its id there, if it has one.
pub struct Signer(EcdsaKeyPair, Option<&'static str>);

impl Signer {
    pub fn new() -> Self {
        Self::of_id("1")
    }

    pub fn of_id(id: &'static str) -> Self {
        Self::named(Some(id))
    }

    /// One whose tokens do not name a key.
    pub fn nameless() -> Self {
        Self::named(None)
    }

    fn named(id: Option<&'static str>) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self(pair.unwrap(), id)
    }

    pub fn set(&self) -> String {
        let point = self.0.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|part| URL_SAFE_NO_PAD.encode(part));
        let key = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
        json!({"keys": [self.with_id(key)]}).to_string()
    }

    pub fn token(&self) -> String {
        self.token_for("us")
    }

    /// A token with this audience.
    pub fn token_for(&self, audience: &str) -> String {
        let part = |document: serde_json::Value| URL_SAFE_NO_PAD.encode(document.to_string());
        let expiry = SystemClock.now_unix_ms() / 1_000 + 60;
        let signed = format!(
            "{}.{}",
            part(self.with_id(json!({"alg": "ES256"}))),
            part(json!({"exp": expiry, "aud": [audience]}))
        );
        let code = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(code.as_ref()))
    }

    fn with_id(&self, mut document: serde_json::Value) -> serde_json::Value {
        if let Some(id) = self.1 {
            document["kid"] = json!(id);
        }
        document
    }
}
