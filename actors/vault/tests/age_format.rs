//! A vault whose files were made by the `age` and `age-keygen` programs, version 1.1.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const IDENTITY: &str = "# created: 2026-11-23T21:49:05Z
# public key: age1q33k8nzgljajmnracnhw6hmyfs45eu8dj58aevzlp2kxp9xfe5sqewck03
AGE-SECRET-KEY-1CYS9DF35WKP4QJJGTANM0SJ2HDMZV8ALYY9EQJKTSR64Z5ZY8D9QWG5TAS
";

/// The document of `global/a` with one version, `v1`.
const SEALED_BASE64: &str = "\
    YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSA3elFxcmMrK1hMMGMyd1MvMXhLVkdKb0pBdExxZ3lQM2M1Y2\
    trUTdJSWp3CjZjck1mekUrWWtwZFN3S3l4SXc0QitRQ0RrZDB1Zys4SVhQKzhqQUJvejQKLS0tIDM1WVc0QllTa3BS\
    OUpQRkJidlFXSk1jVkplb2N4VzlMOTB5NlR2SGV3UGsKn8RuQ1k7vHqiceMHQ6yLSIZBsnmjE0nejyPACq3wAgWqD3\
    AeYBughGteXYcTKVj7odNrYQ2/iO+A+oOIu8+AwB4Qlm6uAHnh4yJOCaOODzG4xoFBxJhIPSlJLss7mqEhdjiLycQx\
    NAsf07+3d3+RlgdtnOkMSsFYpSv4i6y4xghwDpcW2UFv1bJM+BSEZ7lPtw==";

#[test]
fn a_vault_made_with_the_age_programs_is_opened() {
    let folder = private_folder();
    let sealed = STANDARD.decode(SEALED_BASE64).unwrap();
    crate::files::atomic_replace(&folder.path().join("identity.txt"), IDENTITY.as_bytes()).unwrap();
    crate::files::atomic_replace(&folder.path().join("global~a.age"), &sealed).unwrap();
    // A vault that another program made has no pins.
    let looked = Store::look(config(folder.path()), ManualClock::at(1_000)).unwrap();
    let store = looked.accept().unwrap();
    let read = store.read(&vault_ref("global/a")).unwrap();
    assert_eq!(values(&read), [(1, "v1".to_owned())]);
}
