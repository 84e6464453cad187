use ethers_solc::error::SolcError;
use std::{error::Error, fmt, io, path::PathBuf};

/// Why the files could not be made, or differ from what they should be.
#[derive(Debug)]
pub enum GenerateError {
    /// A file or directory could not be read or written.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The compiler could not be started, or did not answer.
    Solc {
        /// The program that was called.
        path: PathBuf,
        /// Why.
        source: Box<SolcError>,
    },
    /// The contracts do not compile.
    Compile(
        /// What the compiler says.
        String,
    ),
    /// The compiler's output has no such contract, or no bytecode for it.
    Missing(
        /// The contract.
        String,
    ),
    /// Committed files differ from what the sources give.
    Drift(
        /// The contracts.
        Vec<String>,
    ),
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "cannot access {}", path.display()),
            Self::Solc { path, .. } => write!(
                f,
                "cannot run the Solidity compiler `{}`: install it with ./anvil-scripts/install-tools, or name one in $SOLC_PATH",
                path.display()
            ),
            Self::Compile(messages) => write!(f, "the contracts do not compile:\n{messages}"),
            Self::Missing(contract) => write!(f, "the compiler gave no bytecode for contract {contract}"),
            Self::Drift(contracts) => write!(
                f,
                "abi/json is not what contracts/ compiles to ({}): run `cargo run --release --locked -p rings-abi \
                 --features generate --bin generate-abi` and commit the files",
                contracts.join(", ")
            ),
        }
    }
}

impl Error for GenerateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Solc { source, .. } => Some(source),
            Self::Compile(_) | Self::Missing(_) | Self::Drift(_) => None,
        }
    }
}
