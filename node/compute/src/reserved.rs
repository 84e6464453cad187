//! The names of exports that the host adds to a module, and that a program must not use.

/// Exports whose names begin with this are reserved for the host.
pub(crate) const RESERVED: &str = "rings:";
/// The export of the stack counter: bytes of stack that are left. It is below 0 after a call has trapped because there
/// was no stack left for it.
pub(crate) const LEFT: &str = "rings:stack-left";
/// The export of the module's start function.
pub(crate) const START: &str = "rings:start";

/// The export whose name ends with the module's effort of compiling, in digits. So whoever has the machine code knows what compiling
/// it costs. (It names the counter, because an export has to name something.)
pub(crate) const EFFORT: &str = "rings:effort:";

/// Whether an export's name is the host's.
pub(crate) fn is_reserved(export: &str) -> bool {
    export.starts_with(RESERVED)
}
