//! What `rings run` tells in the end: the agreed bytes, why the program failed, or why there is no result; and the
//! receipt.
//!
//! The result is read from the chain (`known.rs`) and its bytes from the members, each block hashed, so standard output
//! gets exactly what two thirds have signed and nothing else. If there is no result, it tells who voted for what, who
//! declined and who is silent. A receipt is written in each of these cases.

use super::{
    content::Content,
    declined::{self, Declined},
    gate::Gate,
    job::{StateSource, STATE_PIN},
    next_state::NextState,
    program_failure::{read_record, told},
    receipt::{
        self, milliseconds, FailurePart, Milliseconds, OnGate, OperationPart, OutputPart, Receipt,
        Registered,
    },
    session::Session,
};
use crate::{
    args::values,
    exit::{ExitError, ExitStatus},
    known::{known, patiently, Known},
    out::count,
    process::{Pauses, LONGEST_PAUSE},
    votes::{answering, notes, Votes},
};
use cid::Cid;
use futures::{future::join_all, StreamExt};
use rings_api::Pin;
use rings_protocol::{cids::data_cid, Address, Digest};
use rings_store::{file_size, read_file, BlockSource};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Version of the receipt.
const RECEIPT_VERSION: u32 = 1;
/// Time for an endpoint to find in its logs what its state shows already.
const LOGS_LIMIT: Duration = Duration::from_secs(5);
/// Time for a member to see the registration that we have seen, so that it can tell how long each part took.
const TIMES_LIMIT: Duration = Duration::from_secs(1);

impl Session<'_> {
    /// A gate behind one that has failed never gets a result.
    pub(super) async fn check_upstream(&self, gate: &Gate) -> Result<(), ExitError> {
        let patience = (Instant::now() + LOGS_LIMIT).into();
        let state = patiently(patience, || gate.state(&self.chain)).await?;
        if state.resolved || !state.failed {
            return Ok(());
        }
        let what = format!(
            "gate {} never gets a result, for a gate that it takes its state from has failed; see `rings gate show`",
            gate.address
        );
        Err(ExitError::new(ExitStatus::Failed, what))
    }

    /// The result: its bytes, or why the program failed.
    pub(super) async fn show(mut self, gate: &Gate) -> Result<(), ExitError> {
        let registered = self.result(gate).await?;
        let clients = self.clients.clone();
        let members = answering(&clients).await;
        let source = self.source(&members.unwrap_or_else(|| clients.iter().collect()))?;
        let mut receipt = self.receipt(Registered::Gate(OnGate {
            gate: gate.address,
            transaction: registered.transaction,
            block: registered.block,
            gas_used: registered.gas_used,
        }));
        receipt.epoch = registered.epoch.unwrap_or(receipt.epoch);
        receipt.signers = registered.signers.clone();
        let failure = match registered.failure() {
            Some(record) => Some(self.failed(record, &source, &mut receipt).await?),
            None => {
                self.outputs(&registered.outputs, &source, &mut receipt)
                    .await?;
                None
            }
        };
        self.times.total = milliseconds(self.began);
        let notes = notes(&self.clients, gate.address).await;
        notes.iter().for_each(|note| self.out.note(note));
        // Only members know the fuel, and only the receipt shows it, so they are asked only for that.
        if self.args.receipt.is_some() && registered.transaction.is_some() {
            receipt.fuel = self.member_view(gate, &receipt.signers).await;
        }
        self.write_receipt(receipt)?;
        failure.map_or(Ok(()), Err)
    }

    /// The result on chain. An endpoint may show the gate's state before it finds the event in its logs; one that keeps no
    /// old events never does, and then the gate itself tells.
    async fn result(&self, gate: &Gate) -> Result<Known, ExitError> {
        let deadline = Instant::now() + LOGS_LIMIT;
        let mut pauses = Pauses::new(LONGEST_PAUSE);
        loop {
            let over = Instant::now() > deadline;
            match known(&self.chain, gate.spec(), gate.address).await {
                Ok(Some(found)) if over || found.transaction.is_some() => return Ok(found),
                Err(failure) if over => return Err(failure),
                Ok(None) if over => {
                    return Err(ExitError::unavailable(format!(
                        "the result of gate {} is not on the chain any more; run the same again",
                        gate.address
                    )))
                }
                _ => pauses.next().await,
            }
        }
    }

    /// Writes the outputs, in the order of their pins, to standard output, and the state where it is wanted.
    pub(super) async fn outputs(
        &self,
        outputs: &[(u128, Digest)],
        source: &Arc<dyn BlockSource>,
        receipt: &mut Receipt,
    ) -> Result<(), ExitError> {
        let mut outputs = outputs.to_vec();
        outputs.sort_unstable();
        let mut reader_left = false;
        for (pin, digest) in outputs {
            let cid = data_cid(digest);
            receipt.outputs.push(OutputPart {
                pin: Pin(pin),
                token_id: digest,
                cid,
                bytes: file_size(source.as_ref(), cid).await?,
            });
            if self.job.state.is_some() && pin == STATE_PIN {
                self.next_state(source, cid).await?;
                continue;
            }
            let mut pieces = read_file(Arc::clone(source), cid);
            while let (false, Some(piece)) = (reader_left, pieces.next().await) {
                match self.out.bytes(&piece?) {
                    // The reader has closed the pipe. The receipt is written all the same.
                    Err(failure) if failure.status() == ExitStatus::Done => reader_left = true,
                    written => written?,
                }
            }
        }
        Ok(())
    }

    /// Says what the next state is, and writes it where it is wanted.
    async fn next_state(&self, source: &Arc<dyn BlockSource>, cid: Cid) -> Result<(), ExitError> {
        self.out.note(format_args!("next state: {cid}"));
        let Some(path) = &self.args.next_state else {
            return Ok(());
        };
        let mut file = NextState::create(path, self.out)?;
        let mut pieces = read_file(Arc::clone(source), cid);
        while let Some(piece) = pieces.next().await {
            file.write(&piece?)?;
        }
        file.keep()
    }

    /// Shows the end of the program's standard error, and gives the failure to end with.
    pub(super) async fn failed(
        &self,
        digest: Digest,
        source: &Arc<dyn BlockSource>,
        receipt: &mut Receipt,
    ) -> Result<ExitError, ExitError> {
        let cid = data_cid(digest);
        let record = read_record(Arc::clone(source), cid).await?;
        receipt.failure = Some(FailurePart::new(cid, digest, &record));
        if !record.stderr.is_empty() {
            self.out
                .warn(String::from_utf8_lossy(&record.stderr).trim_end());
        }
        Ok(ExitError::new(
            ExitStatus::Failed,
            told("the ring agreed that the program failed", &record),
        ))
    }

    /// The chain makes no blocks, or asks for higher fees than are offered. The run can go on from there later.
    pub(super) async fn not_mined(mut self, gate: &Gate) -> Result<(), ExitError> {
        self.times.total = milliseconds(self.began);
        let receipt = self.receipt(unregistered(gate));
        self.write_receipt(receipt)?;
        Err(ExitError::unavailable(format!(
            "the chain at {} has not taken the transactions that make gate {} within {}: it makes no blocks, or asks for more gwei \
             than the account offers or has; the same run goes on from there",
            self.chain.endpoint(),
            gate.address,
            values::shown(self.args.timeout)
        )))
    }

    /// Tells who voted for what, who has declined, and who is silent.
    pub(super) async fn no_quorum(
        mut self,
        gate: &Gate,
        hopeless: Vec<Declined>,
    ) -> Result<(), ExitError> {
        let declined = match hopeless.is_empty() {
            true => declined::ask(&self.members, gate.address).await,
            false => hopeless.clone(),
        };
        let votes = Votes::ask(&self.clients, gate.address).await;
        let has_declined = |member: &Address| declined.iter().any(|one| one.member == *member);
        let members = self.ring.members.iter().copied();
        let silent = votes.silent(members.filter(|member| !has_declined(member)));
        votes.tell(&silent, self.out);
        for one in &declined {
            self.out
                .warn(format_args!("declined by {}: {}", one.member, one.reason));
        }
        let mut receipt = self.receipt(unregistered(gate));
        let (voted, agreeing) = (votes.votes.len(), votes.most_in(self.ring.epoch));
        receipt.votes = Some(receipt::Votes::Gate(votes.votes.into_values().collect()));
        receipt.silent = Some(silent);
        receipt.declined = Some(declined);
        self.times.total = milliseconds(self.began);
        self.write_receipt(receipt)?;
        let what = match hopeless.is_empty() {
            true if agreeing as u64 >= self.ring.quorum => self.unsubmitted(gate, agreeing),
            true => self.too_few(gate, voted),
            false => self.hopeless(gate, &hopeless),
        };
        Err(ExitError::new(ExitStatus::NoQuorum, what))
    }

    fn too_few(&self, gate: &Gate, voted: usize) -> String {
        format!(
            "no quorum within {} for gate {}: {voted} of {} have voted and {} must agree; the gate stays, and resolves when members return",
            values::shown(self.args.timeout),
            gate.address,
            count(self.ring.members.len(), "member"),
            self.ring.quorum
        )
    }

    /// The votes are there, and nobody has registered the result.
    fn unsubmitted(&self, gate: &Gate, agreeing: usize) -> String {
        format!(
            "{agreeing} of {} have signed the result of gate {}, which is a quorum, and none of them has registered it within {}; their accounts may be short of ether: see `rings status`",
            count(self.ring.members.len(), "member"),
            gate.address,
            values::shown(self.args.timeout),
        )
    }

    fn hopeless(&self, gate: &Gate, declined: &[Declined]) -> String {
        let reasons = declined::reasons(declined);
        let reason = reasons.first().map_or("", |(_, reason)| reason.as_str());
        // The advice of this line, not that of the reason, comes behind its last semicolon.
        let reason = reason.replace("; ", ", ");
        format!(
            "no quorum can come for gate {}: {} of {} have declined it, and {} must agree: {reason}; see `rings gate show`",
            gate.address,
            declined.len(),
            count(self.ring.members.len(), "member"),
            self.ring.quorum
        )
    }

    /// A receipt of what is known before there is a result.
    pub(super) fn receipt(&self, registered: Registered) -> Receipt {
        Receipt {
            version: RECEIPT_VERSION,
            chain_id: self.file.chain_id,
            engine: self.file.engine,
            scope: self.file.scope,
            ring: self.file.ring,
            registered,
            epoch: self.ring.epoch,
            operation: OperationPart {
                cid: self.job.operation.cid(),
                program: self.job.program.cid(),
            },
            state: self.job.state.as_ref().map(StateSource::name),
            inputs: self.job.inputs.iter().map(Content::cid).collect(),
            outputs: Vec::new(),
            failure: None,
            fuel: None,
            signers: Vec::new(),
            quorum: self.ring.quorum,
            members: self.ring.members.len(),
            votes: None,
            silent: None,
            declined: None,
            milliseconds: Milliseconds::default(),
        }
    }

    /// Writes the receipt, if one is wanted, with the times.
    pub(super) fn write_receipt(&self, mut receipt: Receipt) -> Result<(), ExitError> {
        let Some(path) = &self.args.receipt else {
            return Ok(());
        };
        receipt.milliseconds = self.times;
        receipt::write(path, &receipt, self.out)
    }

    /// The times of the member that has measured most, and the fuel in the signers' votes. A member may see the
    /// registration a moment after us, and one that was slower than two thirds of the others has measured little.
    async fn member_view(&mut self, gate: &Gate, signers: &[Address]) -> Option<u64> {
        let deadline = Instant::now() + TIMES_LIMIT;
        let mut pauses = Pauses::new(LONGEST_PAUSE);
        let mut fuel = None;
        loop {
            let asked = self.clients.iter().map(|client| async {
                let view = tokio::time::timeout(TIMES_LIMIT, client.gate(gate.address)).await;
                view.ok().and_then(Result::ok)
            });
            let views = join_all(asked).await.into_iter().flatten();
            if let Some(view) = views.max_by_key(|view| view.milliseconds.known()) {
                self.times.of_member(&view);
                fuel = view.fuel_of(signers).or(fuel);
            }
            if self.times.are_known() || Instant::now() > deadline {
                return fuel;
            }
            pauses.next().await;
        }
    }
}

/// A gate without a result.
fn unregistered(gate: &Gate) -> Registered {
    Registered::Gate(OnGate {
        gate: gate.address,
        transaction: None,
        block: None,
        gas_used: None,
    })
}
