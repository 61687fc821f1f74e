//! Compares rates and latencies with the bare server and adnanh/webhook.

use crate::duel::{Duel, is_clean, row, runs_table};
use crate::figures::{Criterion, Table, Wanted, median};
use crate::options::Options;
use crate::targets::{Other, Palyra};
use crate::wrk::{Load, Mode, Run};

/// The loads, each with the requirement for its rate ÷ that of the bare server. The rate of the first sets the pace of paced
/// runs.
const LOADS: [(&str, Mode, u32, Wanted); 5] = [
    ("accepted/s, 64 connections", Mode::Signed, 64, Wanted::AtLeast(0.40, 0.60)),
    ("accepted/s, 256 connections", Mode::Signed, 256, Wanted::AtLeast(0.40, 0.60)),
    ("wrong signatures refused/s", Mode::Wrong, 64, Wanted::AtLeast(0.80, 0.90)),
    ("duplicates answered/s", Mode::Repeat, 64, Wanted::AtLeast(0.70, 0.85)),
    ("system events emitted/s", Mode::Emit, 64, Wanted::AtLeast(0.40, 0.60)),
];

/// Runs the rounds; returns the criteria and all runs.
pub fn measure(options: &Options) -> (Vec<Criterion>, Table) {
    let (palyra, bare, adnanh) = (Palyra::start(), Other::bare(), Other::adnanh());
    let seconds = options.seconds();
    let mut duels: Vec<Duel> = LOADS
        .iter()
        .map(|&(name, mode, connections, _)| Duel::new(name, Load { connections, ..Load::of(mode, seconds) }))
        .collect();
    let mut paced = Duel::new("paced at half of the rate of the first", Load::of(Mode::Signed, seconds));
    let (mut theirs, mut paces) = (Vec::new(), Vec::new());
    for round in 0..options.rounds() {
        eprintln!("ratios: round {} of {}", round + 1, options.rounds());
        duels.iter_mut().for_each(|duel| duel.round(&palyra, &bare));
        theirs.extend(adnanh.as_ref().map(|adnanh| adnanh.drive(&Load::of(Mode::Signed, seconds))));
        paced.load.rate = duels[0].ours[round].per_second() / 2.0;
        paces.push(paced.load.rate);
        paced.round(&palyra, &bare);
    }
    let mut criteria: Vec<Criterion> = duels.iter().zip(LOADS).map(against_bare).collect();
    criteria.insert(2, against_adnanh(&duels[0].ours, &theirs, adnanh.is_some()));
    criteria.insert(3, p99_at_half(&paced, &paces));
    let mut table = runs_table();
    table.rows.extend(duels.iter().chain([&paced]).flat_map(Duel::rows));
    table.rows.push(row("accepted/s, 64 connections", "adnanh/webhook", Mode::Signed, &theirs));
    (criteria, table)
}

fn against_bare((duel, (name, _, _, wanted)): (&Duel, (&str, Mode, u32, Wanted))) -> Criterion {
    Criterion::new(format!("{name} ÷ bare"), wanted, duel.ratios(Run::per_second)).remark(duel.errors())
}

fn against_adnanh(ours: &[Run], theirs: &[Run], is_installed: bool) -> Criterion {
    let rounds = ours.iter().zip(theirs);
    let clean =
        rounds.filter(|(ours, theirs)| is_clean(ours, Mode::Signed) && is_clean(theirs, Mode::Signed));
    let ratios = clean.map(|(ours, theirs)| ours.per_second() / theirs.per_second()).collect();
    let missing =
        "the program `webhook` is not installed (Debian package `webhook`, or github.com/adnanh/webhook)";
    let remark =
        if is_installed { "which stores nothing, and answers before its command has run" } else { missing };
    Criterion::new("accepted/s ÷ adnanh/webhook, 64 connections", Wanted::AtLeast(5.0, 8.0), ratios)
        .remark(remark)
}

fn p99_at_half(paced: &Duel, paces: &[f64]) -> Criterion {
    let kept_up = |runs: &[Run]| {
        let shares = runs.iter().zip(paces).map(|(run, pace)| run.per_second() / pace * 100.0);
        median(&shares.collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let (ours, bare) = (kept_up(&paced.ours), kept_up(&paced.bare));
    let remark =
        format!("palyra was asked at {ours:.0} % of that rate, bare at {bare:.0} % {}", paced.errors());
    let ratios = paced.ratios(|run| run.p99_ms);
    Criterion::new("p99 at half of the greatest rate ÷ p99 of bare", Wanted::AtMost(4.0, 2.0), ratios)
        .remark(remark.trim_end())
}
