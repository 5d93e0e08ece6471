use crate::ports::{NOW, accept, population, rules};
use domain::day::Day;
use domain::pipeline::AssemblyContext;
use domain::record;
use domain::state::UserState;
use std::sync::Arc;
pub(crate) fn dump() {
    let rules = rules();
    let context = AssemblyContext {
        rules: &rules,
        rules_fingerprint: rules.fingerprint(),
        policy_version: 1,
        day: Day::at(NOW, &rules.zone),
    };
    let population = population(2000);
    let mut c = zstd::bulk::Compressor::with_dictionary(1, data::STATE_DICTIONARY).unwrap();
    if std::env::args().nth(2).is_none() {
        for updates in [0u64, 7, 20, 60] {
            let (mut raw, mut z) = (0, 0);
            let n = if updates > 20 { 300 } else { 1000 };
            for index in 0..n {
                let mut state: Option<Arc<UserState>> = None;
                for event in population.first_events(index) {
                    state = crate::stages::step(state, &accept(&event, &rules), &context);
                }
                for k in 0..updates {
                    state = crate::stages::step(state, &accept(&population.update(index, k), &rules), &context);
                }
                let state = state.unwrap();
                let p = record::pack(&state);
                raw += p.len();
                z += c.compress(&p).unwrap().len();
            }
            let n = n as usize;
            println!("updates {updates}: raw {} zstd {}", raw / n, z / n);
        }
    }
    // warm path
    let mut warm = Vec::new();
    for index in 0..300 {
        let mut state: Option<Arc<UserState>> = None;
        for event in population.first_events(index) {
            state = crate::stages::step(state, &accept(&event, &rules), &context);
        }
        for k in 0..7 {
            state = crate::stages::step(state, &accept(&population.update(index, k), &rules), &context);
        }
        warm.push(record::pack(&state.unwrap()));
    }
    let events: Vec<_> =
        (0..300).map(|i| (7..27).map(|k| accept(&population.update(i, k), &rules)).collect::<Vec<_>>()).collect();
    let (mut tu, mut ts, mut tp, mut n) = (0u128, 0u128, 0u128, 0u128);
    for round in 0..20 {
        for i in 0..300 {
            let t0 = std::time::Instant::now();
            let s = phase_unpack(warm[i].clone());
            let t1 = std::time::Instant::now();
            let s = phase_step(s, &events[i][round], &context);
            let t2 = std::time::Instant::now();
            warm[i] = phase_pack(s);
            let t3 = std::time::Instant::now();
            tu += (t1 - t0).as_nanos();
            ts += (t2 - t1).as_nanos();
            tp += (t3 - t2).as_nanos();
            n += 1;
        }
    }
    println!("warm event: unpack {} step+record {} pack {} ns", tu / n, ts / n, tp / n);
}

#[inline(never)]
fn phase_unpack(b: Vec<u8>) -> Option<Arc<UserState>> {
    Some(Arc::new(record::unpack_own(b).unwrap()))
}
#[inline(never)]
fn phase_step(s: Option<Arc<UserState>>, e: &domain::event::FeedEvent, c: &AssemblyContext<'_>) -> Arc<UserState> {
    crate::stages::step(s, e, c).unwrap()
}
#[inline(never)]
fn phase_pack(s: Arc<UserState>) -> Vec<u8> {
    record::pack(&s)
}
