use super::*;

#[test]
fn pauses_grow_and_stay_bounded() {
    let seconds: Vec<u64> = (1..=6).map(|attempt| pause_after(attempt).as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 15, 15]);
    assert_eq!(pause_after(u32::MAX).as_secs(), 15);
}

#[test]
fn only_an_absent_daemon_is_waited_for() {
    assert!(may_come_back(&CliError::unreachable("x")));
    assert!(may_come_back(&CliError::no_daemon("x")), "it is started again");
    assert!(may_come_back(&CliError::problem(503, None, None)));
    assert!(!may_come_back(&CliError::problem(401, None, None)));
    assert!(!may_come_back(&CliError::new(Kind::OutputClosed, "x")));
}
