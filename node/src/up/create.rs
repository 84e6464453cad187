//! A new ring: keys, chain, contracts, ether, configurations, and `ring.json` at the end.
//!
//! `rings up` can be interrupted at any moment and started again. `ring.json` comes last: when it is there, the ring is
//! complete. Without it, the next start uses the keys that are there, goes on with a deployment on a chain of others,
//! and makes a chain of its own anew.
//!
//! On its own chain each account gets ether from the development account, and a result waits one second only for a ring
//! node. On a chain of others the account of `--key` pays for all of it.

use super::{
    local_ring::LocalRing,
    members::{self, Common, MemberIdentity},
    plan::{GivenChain, Plan, StoreChoice, DEFAULT_MEMBERS},
};
use crate::{
    anvil::{self, DEV_KEY},
    exit::ExitError,
    place::connect,
    ports::Ports,
    ringdir::{MemberEntry, RingFile},
};
use futures::future::try_join_all;
use rings_api::Token;
use rings_chain::{deploy, fund, Chain, Deployed, Submitter};
use rings_member::keystore::{self, KeystoreError};
use rings_protocol::{crypto::SecretKey, Address};
use std::path::Path;

/// Wei that accounts get on our own chain: 100 ether.
const OWN_FUND: u128 = 100 * 1_000_000_000_000_000_000;
/// Seconds that a result waits for a ring node on such a chain.
const OWN_CHAIN_WAIT: u64 = 1;

/// The chain of a new ring.
struct Ground {
    chain: Chain,
    /// Its URL for programs.
    url: String,
    /// Its URL for members.
    member_url: String,
    deployer: SecretKey,
    fund: u128,
}

impl LocalRing {
    /// Makes everything that a ring needs, except its processes. What an interrupted run has left is used.
    pub(super) async fn create(
        &mut self,
        plan: &Plan,
        ports: &mut Ports,
    ) -> Result<RingFile, ExitError> {
        let count = plan.members.unwrap_or(DEFAULT_MEMBERS);
        let dir = plan.dir.clone();
        let identities = try_join_all((0..count.into()).map(|i| members::identity(dir.member(i))));
        let (ground, identities) = tokio::try_join!(self.ground(plan, ports), identities)?;
        let client = self.secrets()?;
        let deployed = self.deploy(plan, &ground, &identities, client).await?;
        let store = plan.store.clone().unwrap_or(StoreChoice::Embedded);
        let common = Common {
            chain_url: &ground.member_url,
            confirmations: plan.confirmations,
            start_block: deployed.block.number,
            ring: deployed.ring,
            requester: client,
            store: &store,
            workers: 1,
            // On a chain of its own a transaction costs nothing.
            ring_node_wait: plan.given.is_none().then_some(OWN_CHAIN_WAIT),
        };
        let mut entries = Vec::with_capacity(identities.len());
        for (index, MemberIdentity { address, peer_id }) in identities.into_iter().enumerate() {
            let port = members::configure(&dir.member(index), &common, ports)?;
            entries.push(MemberEntry {
                address,
                peer_id,
                rpc_url: anvil::http_url(port),
                pid: None,
            });
        }
        let file = RingFile {
            chain_id: ground.chain.id(),
            rpc_url: ground.url,
            engine: deployed.engine,
            scope: deployed.scope,
            ring: deployed.ring,
            members: entries,
            start_block: deployed.block.number,
            own_chain: plan.given.is_none(),
            chain_pid: self.anvil.as_ref().and_then(tokio::process::Child::id),
            store: store.to_string(),
            ..RingFile::empty()
        };
        self.dir.write(&file)?;
        Ok(file)
    }

    async fn ground(&mut self, plan: &Plan, ports: &mut Ports) -> Result<Ground, ExitError> {
        match &plan.given {
            Some(given) => given_ground(given).await,
            None => self.own_ground(ports).await,
        }
    }

    /// A chain of anvil, and its development account, which has ether from the start.
    async fn own_ground(&mut self, ports: &mut Ports) -> Result<Ground, ExitError> {
        let _step = self.out.step("starting a chain");
        let (port, group) = (ports.choose()?, self.group());
        let chain = anvil::start(&self.dir, port, group, &mut self.anvil).await?;
        Ok(Ground {
            chain,
            url: anvil::http_url(port),
            member_url: anvil::ws_url(port),
            deployer: keystore::parse_hex(Path::new("the development key"), DEV_KEY)?,
            fund: OWN_FUND,
        })
    }

    /// The token and the client's key, made if they are not there; gives the client's account.
    fn secrets(&self) -> Result<Address, ExitError> {
        let made = keystore::write_secret(&self.dir.token(), Token::generate().expose().as_bytes());
        unless_there(made)?;
        unless_there(keystore::store_hex(
            &self.dir.client_key(),
            &keystore::generate(),
        ))?;
        Ok(self.dir.client()?.address())
    }

    /// Deploys the contracts, and at the same time gives ether to members and client.
    async fn deploy(
        &self,
        plan: &Plan,
        ground: &Ground,
        members: &[MemberIdentity],
        client: Address,
    ) -> Result<Deployed, ExitError> {
        let _step = self.out.step("deploying the contracts");
        let (chain, journal) = (ground.chain.clone(), self.dir.deploy_journal());
        let (deployer, fees) = (ground.deployer.clone(), plan.fees.clone());
        let submitter = Submitter::open_with(journal, chain, deployer, fees).await?;
        let terms = plan.terms.terms(client, 0);
        let addresses: Vec<_> = members.iter().map(|member| member.address).collect();
        let mut funded = addresses.clone();
        funded.push(client);
        let (deployed, ()) = tokio::try_join!(
            deploy(&ground.chain, &submitter, &addresses, &terms, None),
            fund(&ground.chain, &submitter, &funded, ground.fund),
        )?;
        submitter.shutdown().await;
        Ok(deployed)
    }
}

/// An existing chain, and the account that pays there.
async fn given_ground(given: &GivenChain) -> Result<Ground, ExitError> {
    let key = given.key.as_deref().ok_or_else(|| {
        ExitError::usage(
            "a new ring on an existing chain needs an account that pays; give it with --key",
        )
    })?;
    let deployer = keystore::load(key, given.password_file.as_deref())?;
    let chain = connect(&given.url).await?;
    Ok(Ground {
        chain,
        url: given.url.clone(),
        member_url: given.url.clone(),
        deployer,
        fund: given.fund,
    })
}

fn unless_there(made: Result<(), KeystoreError>) -> Result<(), KeystoreError> {
    match made {
        Err(KeystoreError::Exists { .. }) => Ok(()),
        other => other,
    }
}
