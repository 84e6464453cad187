//! A new ring: keys, chain, contracts, ether, configurations, and `ring.json` at the end.

use super::{
    members::{self, Common, Identity},
    GivenChain, Plan, Session, StoreChoice, DEFAULT_MEMBERS,
};
use crate::{
    cli::{
        anvil::{self, Anvil, DEV_KEY},
        failure::Failure,
        ports::Ports,
        ringdir::{MemberEntry, RingFile},
    },
    http::Token,
    keystore::{self, KeystoreError},
};
use futures::future::try_join_all;
use rings_chain::{deploy, fund, Chain, Deployed, Submitter};
use rings_protocol::{crypto::SecretKey, Address};
use std::path::Path;

/// Wei that accounts get on our own chain: 100 ether.
const OWN_FUND: u128 = 100 * 1_000_000_000_000_000_000;

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

impl Session {
    /// Makes all that a ring needs but its processes. What a run before has left is used.
    pub(super) async fn create(
        &mut self,
        plan: &Plan,
        ports: &mut Ports,
    ) -> Result<RingFile, Failure> {
        let count = plan.members.unwrap_or(DEFAULT_MEMBERS);
        let dir = plan.dir.clone();
        let identities = try_join_all((0..count.into()).map(|i| members::identity(dir.member(i))));
        let (ground, identities) = tokio::try_join!(self.ground(plan, ports), identities)?;
        let client = self.secrets()?;
        let deployed = self.deploy(&ground, &identities, client).await?;
        let store = plan.store.clone().unwrap_or(StoreChoice::Embedded);
        let common = Common {
            chain_url: &ground.member_url,
            confirmations: plan.confirmations,
            start_block: deployed.block.number,
            ring: deployed.ring,
            requester: client,
            store: &store,
            workers: 1,
        };
        let mut entries = Vec::with_capacity(identities.len());
        for (index, Identity { address, peer_id }) in identities.into_iter().enumerate() {
            let port = members::configure(&dir.member(index), &common, ports)?;
            entries.push(MemberEntry {
                address,
                peer_id,
                rpc_url: anvil::http_url(port),
                pid: None,
            });
        }
        let file = RingFile {
            version: RingFile::version(),
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
        };
        self.dir.write(&file)?;
        Ok(file)
    }

    async fn ground(&mut self, plan: &Plan, ports: &mut Ports) -> Result<Ground, Failure> {
        match &plan.given {
            Some(given) => given_ground(given).await,
            None => self.own_ground(ports).await,
        }
    }

    async fn own_ground(&mut self, ports: &mut Ports) -> Result<Ground, Failure> {
        let _step = self.out.step("starting a chain");
        let Anvil { child, chain, port } = anvil::start(&self.dir, ports.choose()?).await?;
        self.anvil = Some(child);
        Ok(Ground {
            chain,
            url: anvil::http_url(port),
            member_url: anvil::ws_url(port),
            deployer: keystore::parse_hex(Path::new("the development key"), DEV_KEY)?,
            fund: OWN_FUND,
        })
    }

    /// The token and the client's key, made if they are not there; gives the client's account.
    fn secrets(&self) -> Result<Address, Failure> {
        let made = keystore::write_secret(&self.dir.token(), Token::generate().expose().as_bytes());
        unless_there(made)?;
        unless_there(keystore::store_hex(
            &self.dir.client_key(),
            &keystore::generate(),
        ))?;
        Ok(self.dir.client()?.address())
    }

    async fn deploy(
        &self,
        ground: &Ground,
        members: &[Identity],
        client: Address,
    ) -> Result<Deployed, Failure> {
        let _step = self.out.step("deploying the contracts");
        let (chain, journal) = (ground.chain.clone(), self.dir.deploy_journal());
        let submitter = Submitter::open(journal, chain, ground.deployer.clone()).await?;
        let addresses: Vec<_> = members.iter().map(|member| member.address).collect();
        let mut funded = addresses.clone();
        funded.push(client);
        let (deployed, ()) = tokio::try_join!(
            deploy(&ground.chain, &submitter, &addresses, None),
            fund(&ground.chain, &submitter, &funded, ground.fund),
        )?;
        submitter.shutdown().await;
        Ok(deployed)
    }
}

async fn given_ground(given: &GivenChain) -> Result<Ground, Failure> {
    let key = given.key.as_deref().ok_or_else(|| {
        Failure::usage(
            "a new ring on a chain that is there needs an account that pays; give it with --key",
        )
    })?;
    let deployer = keystore::load(key, given.password_file.as_deref())?;
    let chain = Chain::connect(&given.url).await?;
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
