//! Measures how rates and latencies change with the size of bodies and the number of connections and integrations.

use crate::duel::{Duel, runs_table};
use crate::figures::Table;
use crate::options::Options;
use crate::plot::{Chart, Line};
use crate::targets::{Other, Palyra};
use crate::wrk::{Load, Mode, Run};

const BODY_BYTES: [u32; 6] = [200, 1_200, 8 * 1_024, 64 * 1_024, 256 * 1_024, 1_024 * 1_024];
const CONNECTIONS: [u32; 6] = [1, 4, 16, 64, 256, 1_024];
const INTEGRATIONS: [u32; 4] = [1, 16, 256, 1_024];

/// Measures every point; returns a table of each curve, and the charts by connections.
pub fn measure(options: &Options) -> (Vec<(&'static str, Table)>, Vec<Chart>) {
    let bare = Other::bare();
    let seconds = options.seconds().min(3);
    let load = Load::of(Mode::Signed, seconds);
    let palyra = Palyra::start();
    palyra.widen(1);
    let bodies = points(options, &BODY_BYTES, |&bytes| {
        let duel = Duel::new(format!("{bytes} bytes"), Load { bytes, ..load });
        run(duel, options, &palyra, &bare)
    });
    let connections = points(options, &CONNECTIONS, |&connections| {
        let duel = Duel::new(format!("{connections} connections"), Load { connections, ..load });
        run(duel, options, &palyra, &bare)
    });
    let integrations = points(options, &INTEGRATIONS, |&hooks| {
        let palyra = Palyra::start();
        palyra.widen(hooks);
        let duel = Duel::new(format!("{hooks} integrations"), Load { hooks, ..load });
        run(duel, options, &palyra, &bare)
    });
    let charts = charts(&connections);
    let tables = [
        ("By size of the body (64 connections)", bodies),
        ("By connections (1.2 KB)", connections),
        ("By integrations (1.2 KB, 64 connections, integrations in turns)", integrations),
    ];
    (tables.into_iter().map(|(title, duels)| (title, table(&duels))).collect(), charts)
}

fn points(options: &Options, all: &[u32], measure: impl FnMut(&u32) -> Duel) -> Vec<Duel> {
    options.points(all).into_iter().map(measure).collect()
}

fn run(mut duel: Duel, options: &Options, palyra: &Palyra, bare: &Other) -> Duel {
    eprintln!("growth: {}", duel.name);
    for _ in 0..options.rounds_of_a_point() {
        duel.round(palyra, bare);
    }
    duel
}

fn table(duels: &[Duel]) -> Table {
    let mut table = runs_table();
    table.rows.extend(duels.iter().flat_map(Duel::rows));
    table
}

fn charts(duels: &[Duel]) -> Vec<Chart> {
    let chart = |file, title, unit, of: fn(&Run) -> f64| {
        let points = |which: usize| {
            let point = |duel: &Duel| (f64::from(duel.load.connections), duel.medians(of)[which]);
            duels.iter().map(point).filter(|(_, figure)| figure.is_finite()).collect()
        };
        let lines =
            vec![Line { name: "palyra", points: points(0) }, Line { name: "bare", points: points(1) }];
        Chart { file, title, across: "connections", up: unit, lines }
    };
    vec![
        chart("throughput", "Deliveries accepted by connections", "answers/s", Run::per_second),
        chart("latency", "Latency of the slowest hundredth by connections", "p99, ms", |run| run.p99_ms),
    ]
}
