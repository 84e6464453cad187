//! What `rings process dev` gives to external tasks: connectors, and the values of configurations.

use super::instances;
use crate::{
    args::DevArgs,
    exit::{Context, ExitError, ExitStatus},
};
use rings_member::{
    config::ConnectorsFile,
    connectors::{launcher, Connectors},
};
use rings_process::{data::Fields, plan::Plan};
use std::collections::BTreeMap;

/// What external tasks may use here.
///
/// # Errors
/// Status 2 when the file is wrong.
pub fn connectors(args: &DevArgs) -> Result<Connectors, ExitError> {
    let file = match &args.connectors {
        Some(path) => ConnectorsFile::load(path)
            .context(ExitStatus::Usage, "the connectors cannot be read")?,
        None => ConnectorsFile::default(),
    };
    Ok(Connectors::new(&file.config(), launcher()))
}

/// The values of the services' configurations; of one for which there are none, its tasks say so.
///
/// # Errors
/// Status 2 when a file is wrong, or belongs to no service.
pub fn values(args: &DevArgs, plan: &Plan) -> Result<BTreeMap<String, Fields>, ExitError> {
    let named = args.config.iter().map(|named| {
        let service = plan.services().get(&named.service).ok_or_else(|| {
            ExitError::usage(format!(
                "the process has no service {}; see its services",
                named.service
            ))
        })?;
        Ok((
            named.service.clone(),
            instances::values(Some(&named.file), service)?,
        ))
    });
    named.collect()
}
