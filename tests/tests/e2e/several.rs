//! Members with three providers of one chain, of which one fails in each way.

use super::quick::wc;
use rings_tests::{
    block_on,
    perturb::{Conduct, Fault, Provider},
    until, Anvil, Program, Ring,
};
use std::time::Duration;

const MEMBERS: usize = 3;

/// A ring whose commands reach the chain itself, and whose members reach it through three providers.
fn ring(chain: &Anvil, providers: &[Provider; 3]) -> Ring {
    let ring = Ring::prepare();
    let key = Anvil::write_key(ring.dir().parent().unwrap());
    let (url, key) = (chain.http(), key.to_str().unwrap().to_owned());
    ring.start(&[
        "--members",
        "3",
        "--rpc",
        &url,
        "--key",
        &key,
        "--fund",
        "10",
    ]);
    ring.terminate(&[0, 1, 2]);
    let urls: Vec<_> = providers.iter().map(Provider::http).collect();
    for member in 0..MEMBERS {
        let environment = [("RINGS_CHAIN_RPC", &urls.join(",")[..])];
        ring.launch_member(member, Program::Honest, &environment);
    }
    (0..MEMBERS).for_each(|member| ring.wait_connected(member, MEMBERS - 1));
    ring
}

fn computes(ring: &Ring, input: &str) {
    let (output, _) = ring.result("wc", input.as_bytes());
    assert_eq!(output, wc(input.as_bytes()));
}

/// Any trouble at all.
const SOME_TROUBLE: &str = "";

/// One that was put aside is asked again after a minute, or at the next comparison of heads.
const ASIDE: Duration = Duration::from_secs(180);

/// Waits until a member says this of one of its providers, or that it is well.
fn until_said(ring: &Ring, provider: usize, says: Option<&str>) {
    until(&format!("provider {provider}: {says:?}"), ASIDE, || {
        let status = block_on(ring.client(0).status()).ok()?;
        assert!(status.providers.len() == 3);
        let trouble = status.providers[provider].trouble.as_deref();
        let is_said = match says {
            Some(says) => trouble.is_some_and(|trouble| trouble.contains(says)),
            None => trouble.is_none(),
        };
        is_said.then_some(())
    });
}

#[test]
fn one_bad_provider_of_three_never_stops_a_member() {
    let chain = Anvil::start(&[]);
    let providers = [(); 3].map(|()| Provider::before(chain.port()));
    let ring = ring(&chain, &providers);
    computes(&ring, "all are well\n");

    providers[0].behave(Conduct::with_fault(Fault::HangUp));
    computes(&ring, "the first hangs up\n");
    until_said(&ring, 0, Some("reached"));
    let (status, _) = ring.health(0).unwrap();
    assert_eq!(status, 200, "the member follows its chain");
    providers[0].be_good();
    until_said(&ring, 0, None);

    // It serves another chain with the same id: what it says of blocks contradicts the others, and its head is behind
    // theirs. Which of the two is seen first is chance.
    let other = Anvil::start(&[]);
    providers[1].lead_to(other.port());
    computes(&ring, "the second lies\n");
    until_said(&ring, 1, Some(SOME_TROUBLE));
    providers[1].lead_to(chain.port());
    until_said(&ring, 1, None);

    providers[0].stand_still();
    computes(&ring, "the first stands still\n");
    until_said(&ring, 0, Some("behind"));
}
