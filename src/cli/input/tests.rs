use std::io::Cursor;

use super::*;

fn secret_of(stdin: &[u8]) -> Result<Vec<u8>, CliError> {
    secret(None, &mut Cursor::new(stdin.to_vec())).map(|bytes| bytes.to_vec())
}

#[test]
fn one_trailing_line_end_of_a_secret_is_dropped_and_no_more() {
    let table: [(&[u8], &[u8]); 6] = [
        (b"s3cret", b"s3cret"),
        (b"s3cret\n", b"s3cret"),
        (b"s3cret\r\n", b"s3cret"),
        (b"s3cret\n\n", b"s3cret\n"),
        (b" s3cret \r", b" s3cret \r"),
        (b"\n\x00\xff\n", b"\n\x00\xff"),
    ];
    for (stdin, value) in table {
        assert_eq!(secret_of(stdin).unwrap(), value);
    }
}

#[test]
fn an_empty_or_too_large_secret_is_refused() {
    assert_eq!(secret_of(b"\n").unwrap_err().exit().code(), 2);
    assert_eq!(
        secret_of(&vec![b'x'; SECRET_BYTES_MAX + 3]).unwrap_err().message,
        "the secret is larger than 65536 bytes"
    );
    assert_eq!(
        secret_of(&[vec![b'x'; SECRET_BYTES_MAX], b"\r\n".to_vec()].concat()).unwrap().len(),
        SECRET_BYTES_MAX
    );
}

#[test]
fn a_payload_is_read_byte_for_byte_from_file_or_stdin() {
    let bytes: Vec<u8> = (0..=255).cycle().take(20_000).chain(*b"\n").collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payload");
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(payload(Some(&file), &mut std::io::empty()).unwrap(), bytes);
    assert_eq!(payload(None, &mut Cursor::new(bytes.clone())).unwrap(), bytes);
}

#[test]
fn a_payload_larger_than_any_integration_takes_is_refused_before_it_is_all_read() {
    let error = payload(None, &mut std::io::repeat(b'x')).unwrap_err();
    assert!(error.message.contains("26214400"), "{}", error.message);
}

#[test]
fn a_missing_file_is_named() {
    let error = payload(Some(Path::new("no/such/file")), &mut std::io::empty()).unwrap_err();
    assert!(error.message.starts_with("cannot read no/such/file: "), "{}", error.message);
    assert_eq!(error.exit().code(), 1);
}
