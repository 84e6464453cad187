use super::*;
use crate::state::{Heard, Identity};
use rings_process::{
    document::cid_of,
    process_file::ProcessDraft,
    service_file::ServiceDraft,
    words::{Installation, Word, VERSION},
};
use rings_protocol::Address;
use tempfile::TempDir;

const SERVICE: &str = "service: shop
events:
  ordered: {data: {cents: integer}}
  paid: {data: {cents: integer}}
  sent: {data: {cents: integer}}
tasks:
  bill: {program: bill.wasm, statuses: {done: {}}}
";

/// A process that begins with something, and may wait for an event of the second of its services.
fn plan(on: &str, waits: &str) -> Plan {
    let wait = match waits.is_empty() {
        true => String::new(),
        false => format!("  w: {{wait: b.{waits}, after: t.done, within: 60}}\n"),
    };
    let text = format!("process: p\nservices: {{a: a.yml, b: a.yml}}\non: {on}\nnodes:\n  t: {{task: a.bill}}\n{wait}");
    let draft = ProcessDraft::read("process.yml", &text).unwrap();
    let service = || {
        let draft = ServiceDraft::read("service.yml", SERVICE).unwrap();
        draft.finish(|_| Ok(cid_of(b"program"))).unwrap()
    };
    draft.finish(|_| Ok(service())).unwrap()
}

fn open(directory: &TempDir) -> ProcessState {
    let identity = Identity {
        chain_id: 31337,
        ring: Address([7; 20]),
        member: Address([1; 20]),
    };
    let path = directory.path().join("processes.redb");
    ProcessState::open(&path, &identity).unwrap()
}

/// Installs one with two instances, and gives its id.
fn install(state: &ProcessState, users: &mut Users, number: u8) -> (Digest, Installation) {
    let instances = [("a", number % 3), ("b", number % 4)];
    let instances = instances.map(|(name, instance)| (name.to_owned(), Digest([instance; 32])));
    let installation = Installation {
        heads: Default::default(),
        instances: instances.into(),
        nonce: u64::from(number),
        process: cid_of(b"process"),
        since: 1,
        version: VERSION,
    };
    let heard = Heard {
        author: Address([1; 20]),
        next: u64::from(number) + 1,
        words: vec![Word::Installation(installation.clone())],
    };
    let news = state.hear(&[heard], 5).unwrap();
    users.add(state, &news.installed);
    (installation.id().unwrap(), installation)
}

/// Whom a walk through all finds: those whose plans were read, if the event is for them, and the others.
fn walk(
    all: &[(Digest, Installation, Option<&Plan>)],
    (instance, event): (Digest, &str),
) -> Candidates {
    let mut found = Candidates::default();
    for (id, installation, plan) in all {
        let is_its = |service: &str| installation.instances.get(service) == Some(&instance);
        let Some(plan) = plan else {
            if is_its("a") || is_its("b") {
                found.unread.insert(*id);
            }
            continue;
        };
        let is_due =
            plan.schedule().is_some() && event == "scheduled" && (is_its("a") || is_its("b"));
        let starts = plan.event().is_some_and(|(_, name)| name == event);
        if is_due || (starts && plan.event_service().is_some_and(is_its)) {
            found.heeding.starts.insert(*id);
        }
        let mut waits = plan.waits();
        if waits.any(|(_, wait)| wait.event == event && is_its(&wait.service_name)) {
            found.heeding.waits.insert(*id);
        }
    }
    found
}

#[test]
fn an_event_concerns_those_that_a_walk_finds_whenever_they_were_installed_or_read() {
    let plans = [
        plan("a.ordered", ""),
        plan("b.paid", "sent"),
        plan("{every: 60}", "paid"),
    ];
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let mut users = Users::default();
    let mut all: Vec<(Digest, Installation, Option<&Plan>)> = Vec::new();
    let check = |users: &mut Users, all: &[(Digest, Installation, Option<&Plan>)]| {
        for instance in (0..5).map(|instance| Digest([instance; 32])) {
            for event in ["ordered", "paid", "sent", "scheduled"] {
                let found = users.of(&state, (instance, event)).unwrap();
                assert_eq!(found, walk(all, (instance, event)));
            }
        }
    };
    for number in 0..15_u8 {
        let (id, installation) = install(&state, &mut users, number);
        all.push((id, installation, None));
        if number < 5 {
            // The first time, all are read from the disk; later ones are added.
            continue;
        }
        check(&mut users, &all);
        let (id, installation, read) = &mut all[usize::from(number - 4)];
        let id = *id;
        let plan = &plans[usize::from(number) % plans.len()];
        users
            .read(&state, (id, &installation.instances), plan)
            .unwrap();
        *read = Some(plan);
        check(&mut users, &all);
        // What changes is not to be read again.
        users.add(&state, &[id]);
        check(&mut users, &all);
    }
    // What cannot be read is not asked for with each event, and is remembered to be unread.
    let (id, installation, _) = all.last().unwrap();
    let instance = installation.instances["a"];
    users.failed(*id);
    let found = users.of(&state, (instance, "sent")).unwrap();
    assert!(found.failed.contains(id) && !found.unread.contains(id));
    users
        .read(&state, (*id, &installation.instances), &plans[0])
        .unwrap();
    assert!(users
        .of(&state, (instance, "sent"))
        .unwrap()
        .failed
        .is_empty());
    all.last_mut().unwrap().2 = Some(&plans[0]);
    check(&mut users, &all);
    // Those that are cancelled are concerned by nothing, whether they were read or not.
    for place in [12, 6, 0] {
        let (id, installation, _) = all.remove(place);
        users
            .leave_out(&state, (id, &installation.instances))
            .unwrap();
        users.add(&state, &[id]);
        check(&mut users, &all);
    }
}
