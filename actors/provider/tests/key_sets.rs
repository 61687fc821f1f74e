//! JWK sets: which of their keys a token is tried with, and what makes a set unusable.

use serde_json::{Value, json};

use super::tokens::{BODY, Issuer, verdict_under};
use super::*;

/// The key of `issuer` as a member of a set, with this id if it has one.
fn jwk(issuer: &Issuer, kid: Option<&str>) -> Value {
    let mut jwk = serde_json::from_str::<Value>(&issuer.jwks()).unwrap()["keys"][0].take();
    jwk.as_object_mut().unwrap().remove("kid");
    if let Some(kid) = kid {
        jwk["kid"] = kid.into();
    }
    jwk
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// A token that names the key `kid`, or none.
fn token(issuer: &Issuer, kid: Option<&str>) -> String {
    let claims = json!({"exp": NOW / 1_000 + 60, "body": Digest::of(BODY).to_string()});
    let mut header = json!({"alg": "ES256"});
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    issuer.made(&header, &claims)
}

#[test]
fn a_token_is_tried_with_the_keys_of_the_name_it_gives_or_with_all_if_it_gives_none() {
    let (one, two, forger) = (Issuer::new(), Issuer::new(), Issuer::new());
    let unnamed = set(&[jwk(&one, None), jwk(&two, None)]);
    let of_one_name = set(&[jwk(&one, Some("a")), jwk(&two, Some("a"))]);
    let named = set(&[jwk(&one, Some("a")), jwk(&two, Some("b"))]);
    let partly_named = set(&[jwk(&one, None), jwk(&two, Some("b"))]);
    let mixed = set(&[json!({"kid": "r", "kty": "RSA", "n": "AQAB", "e": "AQAB"}), jwk(&two, Some("b"))]);
    for (set, issuer, kid, expected) in [
        (&unnamed, &one, None, "version 1"),
        (&unnamed, &two, None, "version 1"),
        (&unnamed, &forger, None, "bad_signature"),
        (&unnamed, &two, Some("a"), "version 1"),
        (&unnamed, &forger, Some("a"), "untrusted_key"),
        (&partly_named, &two, Some("b"), "version 1"),
        (&partly_named, &one, Some("b"), "version 1"),
        (&partly_named, &forger, Some("b"), "bad_signature"),
        (&partly_named, &forger, Some("c"), "untrusted_key"),
        (&of_one_name, &one, Some("a"), "version 1"),
        (&of_one_name, &two, Some("a"), "version 1"),
        (&of_one_name, &forger, Some("a"), "bad_signature"),
        (&named, &one, None, "version 1"),
        (&named, &two, None, "version 1"),
        (&named, &forger, None, "bad_signature"),
        (&named, &two, Some("a"), "bad_signature"),
        (&named, &two, Some("c"), "untrusted_key"),
        (&mixed, &two, None, "version 1"),
        (&mixed, &forger, None, "bad_signature"),
    ] {
        assert_eq!(verdict_under(&[set], &token(issuer, kid)), expected, "{kid:?} under {set}");
    }
}

#[test]
fn a_token_is_tried_with_eight_keys_of_a_set_and_no_more() {
    let (issuer, others) = (Issuer::new(), [(); 8].map(|()| Issuer::new()));
    let behind = |count: usize, kid: Option<&str>| {
        let others = others[..count].iter().map(|other| jwk(other, kid));
        set(&others.chain([jwk(&issuer, kid)]).collect::<Vec<_>>())
    };
    for kid in [None, Some("a")] {
        let token = token(&issuer, kid);
        assert_eq!(verdict_under(&[&behind(7, kid)], &token), "version 1", "the eighth");
        assert_eq!(verdict_under(&[&behind(8, kid)], &token), "bad_signature", "the ninth");
    }
}

/// Members of a set that are no keys.
fn odd_members(issuer: &Issuer) -> Vec<String> {
    let twice = jwk(issuer, Some("a")).to_string().replace("\"kid\"", "\"kid\":\"b\",\"kid\"");
    let mut own = jwk(issuer, Some("a"));
    let parts = json!(["a", "P-256", null, null, own["x"], own["y"]]).to_string();
    own["x"] = 7.into();
    let others = [
        json!({"kty": "RSA", "kid": "z", "n": "AQ", "e": 65_537}),
        json!({"kty": "oct", "kid": 7, "k": "AQ"}),
        json!({"kty": "EC", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({}),
        json!("x"),
        json!(1),
        Value::Null,
        own,
    ];
    others.iter().map(Value::to_string).chain([twice, parts]).collect()
}

#[test]
fn a_member_of_a_set_that_is_no_key_is_ignored() {
    let (issuer, good) = (Issuer::new(), |issuer: &Issuer| jwk(issuer, Some("a")).to_string());
    for odd in odd_members(&Issuer::new()) {
        for members in [[&good(&issuer), &odd], [&odd, &good(&issuer)]] {
            let set = format!("{{\"keys\":[{},{}]}}", members[0], members[1]);
            assert_eq!(verdict_under(&[&set], &token(&issuer, Some("a"))), "version 1", "{set}");
            assert_eq!(verdict_under(&[&set], &token(&issuer, None)), "version 1", "{set}");
            assert_eq!(verdict_under(&[&set], &token(&Issuer::new(), Some("a"))), "bad_signature", "{set}");
        }
    }
}

#[test]
fn a_set_without_a_usable_key_is_refused_and_says_why() {
    let issuer = Issuer::new();
    let profile = load::load("own.toml", super::tokens::OWN).unwrap();
    for odd in odd_members(&issuer) {
        let set = format!("{{\"keys\":[{odd}]}}");
        let told = profile.check_keys(&keys(&set)).unwrap_err().to_string();
        assert!(told.contains("a JWK set without a usable P-256 key, which ES256 needs"), "{set}: {told}");
        assert_eq!(verdict_under(&[&set], &token(&issuer, Some("a"))), "unusable 1", "{set}");
    }
    let own = jwk(&issuer, None);
    let list = json!([[own]]).to_string();
    let twice = format!("{{\"keys\":[],\"keys\":[{own}]}}");
    for no_set in ["x", "[]", "{}", "{\"keys\":7}", "{\"keys\":{}}", &list, &twice] {
        let told = profile.check_keys(&keys(no_set)).map_err(|error| error.to_string());
        assert!(told.as_ref().is_err_and(|told| told.contains("not a JWK set")), "{no_set}: {told:?}");
    }
}
