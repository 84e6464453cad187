use super::*;
use proptest::prelude::*;
use rings_process::{
    document::{cid_of, Document},
    event::{Event, Source},
    process_file::ProcessDraft,
    service::Service,
    service_file::ServiceDraft,
    words::VERSION,
};

const CONTRACTS: [Address; 2] = [Address([0x11; 20]), Address([0x22; 20])];

fn service() -> Service {
    let [one, other] = CONTRACTS;
    let text = format!(
        "service: shop
events:
  paid:
    from: {{contract: \"{one}\", log: \"Paid(uint256 cents)\", confirmations: 0, where: event.cents > 100}}
    data: {{cents: integer}}
  sent:
    from: {{contract: \"{other}\", log: \"Sent(uint256 cents)\", confirmations: 3}}
    data: {{cents: integer}}
  asked: {{data: {{cents: integer}}}}
tasks:
  answer: {{program: answer.wasm, statuses: {{done: {{n: integer}}}}}}
"
    );
    let draft = ServiceDraft::read("service.yml", &text).unwrap();
    draft.finish(|_| Ok(cid_of(b"program"))).unwrap()
}

/// A process that starts with an event, and may wait for another one.
fn plan(on: &str, waits: Option<&str>) -> Plan {
    let wait = waits.map_or_else(String::new, |event| {
        format!("  w: {{after: t.done, wait: shop.{event}, match: {{cents: 7}}, within: 60}}\n")
    });
    let text = format!(
        "process: p\nservices: {{shop: service.yml}}\non: shop.{on}\nnodes:\n  t: {{task: shop.answer}}\n{wait}"
    );
    let draft = ProcessDraft::read("process.yml", &text).unwrap();
    draft.finish(|_| Ok(service())).unwrap()
}

fn installation(instance: u8, since: u64, plan: &Plan) -> Installation {
    Installation {
        heads: Default::default(),
        instances: [("shop".to_owned(), Digest([instance; 32]))].into(),
        nonce: 0,
        process: plan.cid(),
        since,
        version: VERSION,
    }
}

fn log(contract: Address, topic: Digest, cents: u8, block: u64) -> ContractLog {
    let mut data = vec![0; 32];
    data[31] = cents;
    ContractLog {
        contract,
        topics: vec![topic],
        data,
        block,
        in_block: 6,
        transaction: Digest([9; 32]),
        index: 4,
    }
}

/// What a walk through all installations finds: the event of each log for each that it starts, or that may wait for it.
fn walk(
    installed: &BTreeMap<Digest, (Installation, &Plan)>,
    (confirmations, log): (u64, &ContractLog),
) -> BTreeSet<(Digest, Vec<u8>)> {
    let mut found = BTreeSet::new();
    for (id, (installation, plan)) in installed {
        let instance = installation.instances["shop"];
        let started = plan.event().map(|(_, event)| (*id, event));
        let waits = plan
            .waits()
            .map(|(_, wait)| (source_of(wait, Some(instance)), &*wait.event));
        for (id, event) in started.into_iter().chain(waits) {
            let Some(reader) = plan.reader_of("shop", event) else {
                continue;
            };
            let is_wanted = (reader.contract, reader.confirmations)
                == (log.contract, confirmations)
                && log.topics[0] == reader.topic
                && log.block >= installation.since;
            let data = is_wanted.then(|| reader.read(&log.topics, &log.data).unwrap());
            let Some(data) = data.flatten() else {
                continue;
            };
            let event = Event {
                data,
                event: event.to_owned(),
                instance: Some(instance),
                process: None,
                service: plan.process().services.get("shop").copied(),
                source: Source::Chain {
                    chain: 31337,
                    contract: log.contract.to_string(),
                    index: log.index,
                    transaction: log.transaction,
                },
                version: rings_process::event::VERSION,
            };
            found.insert((id, event.to_bytes().unwrap()));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is installed and taken away again, a log is the events that a walk through all installations finds.
    #[test]
    fn a_log_is_what_a_walk_through_all_installations_finds(
        steps in prop::collection::vec((0u8..12, 0usize..6, 1u8..4, 0u64..6, any::<bool>()), 1..30),
    ) {
        let plans = [
            plan("paid", None), plan("sent", None), plan("asked", None),
            plan("asked", Some("paid")), plan("paid", Some("sent")), plan("sent", Some("sent")),
        ];
        let topics = ["paid", "sent"].map(|event| plans[0].reader_of("shop", event).unwrap().topic);
        let mut watched = Watched::default();
        let mut installed = BTreeMap::new();
        for (id, plan, instance, since, is_removed) in steps {
            let (id, plan) = (Digest([id; 32]), &plans[plan]);
            if is_removed {
                watched.remove(id);
                installed.remove(&id);
            } else {
                let installation = installation(instance, since, plan);
                watched.add(id, &installation, plan);
                installed.insert(id, (installation, plan));
            }
            for (contract, topic, cents, block) in [
                (CONTRACTS[0], topics[0], 200, 3),
                (CONTRACTS[0], topics[0], 7, 3),
                (CONTRACTS[1], topics[1], 7, 2),
                (CONTRACTS[1], topics[0], 200, 5),
            ] {
                let log = log(contract, topic, cents, block);
                for confirmations in [0, 3] {
                    let mut found = Vec::new();
                    watched.found((31337, confirmations), &log, &mut found).unwrap();
                    let all: BTreeSet<_> = found.iter().map(|found| (found.installation, found.event.clone())).collect();
                    prop_assert_eq!(all.len(), found.len(), "each once");
                    prop_assert_eq!(all, walk(&installed, (confirmations, &log)));
                }
            }
        }
        for id in 0..12 {
            watched.remove(Digest([id; 32]));
        }
        prop_assert!(watched.readings.is_empty() && watched.places.is_empty() && watched.held.is_empty());
    }
}

#[test]
fn a_log_is_read_once_however_many_installations_it_starts() {
    let plan = plan("paid", None);
    let mut watched = Watched::default();
    for id in 0..100 {
        let id = Digest([id; 32]);
        assert!(watched.add(id, &installation(1, 0, &plan), &plan));
    }
    assert_eq!(watched.readings.len(), 1);
    assert_eq!(watched.depths(), [0]);
    assert_eq!(watched.places(0).len(), 1);
}

/// Otherwise whoever emits it would keep all events behind it from being written.
#[test]
fn a_log_that_is_too_long_to_be_written_into_a_log_is_no_event() {
    let contract = CONTRACTS[0];
    let text = format!(
        "service: s\nevents:\n  told:\n    from: {{contract: \"{contract}\", log: \"Told(string text)\", confirmations: 0}}\n    \
           data: {{text: string}}\ntasks:\n  answer: {{program: answer.wasm, statuses: {{done: {{n: integer}}}}}}\n"
    );
    let service = || {
        let draft = ServiceDraft::read("service.yml", &text).unwrap();
        draft.finish(|_| Ok(cid_of(b"program"))).unwrap()
    };
    let process = "process: p\nservices: {shop: service.yml}\non: shop.told\nnodes:\n  t: {task: shop.answer}\n";
    let draft = ProcessDraft::read("process.yml", process).unwrap();
    let plan = draft.finish(|_| Ok(service())).unwrap();
    let topic = plan.reader_of("shop", "told").unwrap().topic;
    let mut watched = Watched::default();
    watched.add(Digest([1; 32]), &installation(1, 0, &plan), &plan);
    let word = |number: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(number as u64).to_be_bytes());
        word
    };
    let told = |length: usize| {
        let text = vec![b'x'; length];
        let log = ContractLog {
            data: [&word(32)[..], &word(length), &text].concat(),
            ..log(contract, topic, 0, 3)
        };
        let mut found = Vec::new();
        watched.found((31337, 0), &log, &mut found).unwrap();
        found.len()
    };
    assert_eq!((told(32 * 1_000), told(32 * 2_048)), (1, 0));
}
