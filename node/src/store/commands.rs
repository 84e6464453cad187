//! `rings store gc|check|repair|export|import`.
//!
//! Each command works on the stores that the options name ([`Target`]), one after the other, and shows what came of it
//! for each. The exit status is 1 if something is damaged or lost, so that a script that calls `rings store check`
//! notices.

use super::{
    files::{open, write},
    target::{one, targets, Pieces, Target},
};
use crate::{
    args::{ExportStoreArgs, ImportStoreArgs, StoreArgs, StoreCommand},
    exit::{ExitError, ExitStatus},
    out::{count, Out},
};
use rings_api::{Damage, Fault};
use rings_protocol::Address;
use serde::Serialize;

/// An answer, and whose it is.
#[derive(Debug, Serialize)]
struct Of<T> {
    member: Address,
    #[serde(flatten)]
    answer: T,
}

/// `rings store …`
///
/// # Errors
/// Status 1 when something is damaged or lost, 2 for a wrong option, 5 when a store cannot be reached.
pub async fn store(command: StoreCommand, out: Out) -> Result<(), ExitError> {
    match command {
        StoreCommand::Gc(args) => collect(args, out).await,
        StoreCommand::Check(args) => check(args, out).await,
        StoreCommand::Repair(args) => repair(args, out).await,
        StoreCommand::Export(args) => export(args, out).await,
        StoreCommand::Import(args) => import(args, out).await,
    }
}

async fn collect(args: StoreArgs, out: Out) -> Result<(), ExitError> {
    let mut all = Vec::new();
    for target in targets(&args.who, out).await? {
        let step = out.step(format_args!("collecting at {}", target.member));
        let answer = target.collect().await?;
        drop(step);
        if !args.json {
            out.line(format_args!(
                "{}  removed {} ({} bytes), kept {} ({} bytes)",
                target.member,
                blocks(answer.removed_blocks),
                answer.removed_bytes,
                blocks(answer.blocks),
                answer.bytes
            ))?;
        }
        if let Some(most) = answer.over {
            out.warn(format_args!(
                "what {} must keep has more than the {most} bytes of [store] max_bytes",
                target.member
            ));
        }
        all.push(Of {
            member: target.member,
            answer,
        });
    }
    end(&all, args.json, None, out)
}

/// Writes all answers, if as JSON, and says what is wrong.
fn end<T: Serialize>(
    all: &[Of<T>],
    json: bool,
    wrong: Option<&str>,
    out: Out,
) -> Result<(), ExitError> {
    if json {
        out.json(&all)?;
    }
    match wrong {
        None => Ok(()),
        Some(_) if json => Err(ExitError::said(ExitStatus::Internal)),
        Some(wrong) => Err(ExitError::internal(wrong)),
    }
}

async fn check(args: StoreArgs, out: Out) -> Result<(), ExitError> {
    let (mut all, mut faults) = (Vec::new(), 0);
    for target in targets(&args.who, out).await? {
        let step = out.step(format_args!("checking the store of {}", target.member));
        let answer = target.check().await?;
        drop(step);
        faults += answer.fault_count;
        if !args.json {
            for fault in &answer.faults {
                out.line(line(target.member, word(fault.damage), fault))?;
            }
            if let Some(file) = &answer.damaged_file {
                out.line(format_args!(
                    "{}  {file} is damaged: `rings store repair` fetches its damaged blocks from the other members; if there are more later, replace the disk",
                    target.member
                ))?;
            }
            let whole = match answer.whole {
                true => "",
                false => "; only log nodes were read, `ipfs repo verify` checks the rest",
            };
            out.line(format_args!(
                "{}  {} ({} bytes), {}{whole}",
                target.member,
                blocks(answer.blocks),
                answer.bytes,
                count(answer.fault_count, "fault"),
            ))?;
        }
        all.push(Of {
            member: target.member,
            answer,
        });
    }
    let is_bad = faults > 0;
    end(
        &all,
        args.json,
        is_bad.then_some(
            "blocks are damaged or missing; `rings store repair` fetches them from other members",
        ),
        out,
    )
}

async fn repair(args: StoreArgs, out: Out) -> Result<(), ExitError> {
    let (mut all, mut lost) = (Vec::new(), 0);
    for target in targets(&args.who, out).await? {
        let step = out.step(format_args!("repairing the store of {}", target.member));
        let answer = target.repair().await?;
        drop(step);
        lost += answer.lost.len();
        if !args.json {
            for (what, faults) in [
                ("healed", &answer.healed),
                ("removed", &answer.removed),
                ("LOST", &answer.lost),
            ] {
                for fault in faults {
                    out.line(line(target.member, what, fault))?;
                }
            }
            out.line(format_args!(
                "{}  {} healed, {} removed that nobody needs, {} lost",
                target.member,
                answer.healed.len(),
                answer.removed.len(),
                answer.lost.len()
            ))?;
        }
        all.push(Of {
            member: target.member,
            answer,
        });
    }
    let is_bad = lost > 0;
    end(&all, args.json, is_bad.then_some("no member that could be asked has the blocks that are lost; add their files again, or start more members"), out)
}

async fn export(args: ExportStoreArgs, out: Out) -> Result<(), ExitError> {
    let (target, archive) = exported(&args, out).await?;
    let bytes = write(&args.file, archive, out).await?;
    out.note(format_args!(
        "{bytes} bytes of the store of {}",
        target.member
    ));
    Ok(())
}

/// The archive, from the member that is named; else, with roots, from the first that has their blocks.
async fn exported(args: &ExportStoreArgs, out: Out) -> Result<(Target, Pieces), ExitError> {
    if args.roots.is_empty() || args.who.member.is_some() {
        let target = one(&args.who, out).await?;
        let archive = target.export(args.roots.clone()).await?;
        return Ok((target, archive));
    }
    // Any member may have the blocks; the last failure is told if none has them.
    let mut missing = None;
    for target in targets(&args.who, out).await? {
        match target.export(args.roots.clone()).await {
            Ok(archive) => return Ok((target, archive)),
            Err(failure) => missing = Some(failure),
        }
    }
    Err(missing.unwrap_or_else(|| ExitError::internal("no store was found")))
}

async fn import(args: ImportStoreArgs, out: Out) -> Result<(), ExitError> {
    let target = one(&args.who, out).await?;
    let answer = target.import(open(&args.file).await?).await?;
    if args.json {
        return out.json(&Of {
            member: target.member,
            answer,
        });
    }
    for root in &answer.roots {
        out.line(root)?;
    }
    out.note(format_args!(
        "{} ({} bytes) are in the store of {}",
        blocks(answer.blocks),
        answer.bytes,
        target.member
    ));
    Ok(())
}

fn line(member: Address, what: &str, fault: &Fault) -> String {
    let named = match fault.named_by.is_empty() {
        true => String::new(),
        false => format!("  ({})", fault.named_by),
    };
    format!("{member}  {what}  {}{named}", fault.cid)
}

fn word(damage: Damage) -> &'static str {
    match damage {
        Damage::Corrupt => "corrupt",
        Damage::Missing => "missing",
    }
}

fn blocks(number: u64) -> String {
    count(number, "block")
}
