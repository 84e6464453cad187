//! Where a module's bytes come from.
//!
//! Modules are large, and several may be on their way to compilers at the same time. So a member passes one on piece by piece, and
//! never holds it whole.

use crate::{bounds::MAX_MODULE_BYTES, error::ComputeError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    stream::{self, BoxStream},
    StreamExt,
};

/// Where a module's bytes come from. They are only asked for when the module is not compiled yet.
#[async_trait]
pub trait ModuleSource: Send + Sync {
    /// The bytes whose sha2-256 the task names.
    ///
    /// # Errors
    /// [`ComputeError::module`] with the cause.
    async fn load(&self) -> Result<ModuleBytes, ComputeError>;
}

#[async_trait]
impl ModuleSource for Bytes {
    async fn load(&self) -> Result<ModuleBytes, ComputeError> {
        Ok(self.clone().into())
    }
}

/// The bytes of a module, of which the length is known before.
pub struct ModuleBytes {
    length: u64,
    pieces: BoxStream<'static, Result<Bytes, ComputeError>>,
}

impl ModuleBytes {
    /// So many bytes in these pieces.
    pub fn new(length: u64, pieces: BoxStream<'static, Result<Bytes, ComputeError>>) -> Self {
        Self { length, pieces }
    }

    /// How many bytes they have together, as was said.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The next piece, no longer than what is missing of `length`; `None` at the end. An error when there are more or fewer bytes
    /// than was said.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ComputeError> {
        match self.pieces.next().await.transpose()? {
            Some(piece) if piece.len() as u64 <= self.length => {
                self.length -= piece.len() as u64;
                Ok(Some(piece))
            }
            None if self.length == 0 => Ok(None),
            _ => Err(ComputeError::module(
                "it has another length than its file says",
            )),
        }
    }
}

impl From<Bytes> for ModuleBytes {
    fn from(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self::new(length, stream::once(async { Ok(bytes) }).boxed())
    }
}

/// The module's bytes, unless there are too many.
pub(crate) async fn load(module: &impl ModuleSource) -> Result<ModuleBytes, ComputeError> {
    let bytes = module.load().await?;
    match usize::try_from(bytes.length) {
        Ok(length) if length <= MAX_MODULE_BYTES => Ok(bytes),
        length => Err(ComputeError::ModuleTooLarge {
            length: length.unwrap_or(usize::MAX),
            limit: MAX_MODULE_BYTES,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(length: u64, of: &[&'static [u8]]) -> ModuleBytes {
        let of: Vec<_> = of
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece)))
            .collect();
        ModuleBytes::new(length, stream::iter(of).boxed())
    }

    #[tokio::test]
    async fn more_or_fewer_bytes_than_were_said_are_an_error() {
        let mut right = pieces(3, &[b"a", b"bc"]);
        assert_eq!(right.next().await.unwrap().unwrap(), "a");
        assert_eq!(right.next().await.unwrap().unwrap(), "bc");
        assert!(right.next().await.unwrap().is_none());
        for length in [1, 2] {
            let mut more = pieces(length, &[b"a", b"bc"]);
            assert!(more.next().await.is_ok());
            assert!(more.next().await.is_err(), "{length}");
        }
        let mut fewer = pieces(2, &[b"a"]);
        assert!(fewer.next().await.is_ok());
        assert!(fewer.next().await.is_err());
    }

    #[tokio::test]
    async fn a_module_that_is_too_large_is_not_read() {
        let length = MAX_MODULE_BYTES as u64 + 1;
        struct Large(u64);
        #[async_trait]
        impl ModuleSource for Large {
            async fn load(&self) -> Result<ModuleBytes, ComputeError> {
                Ok(ModuleBytes::new(self.0, stream::pending().boxed()))
            }
        }
        let refused = load(&Large(length)).await.err().unwrap();
        assert!(matches!(refused, ComputeError::ModuleTooLarge { .. }));
        assert!(load(&Large(length - 1)).await.is_ok());
    }
}
