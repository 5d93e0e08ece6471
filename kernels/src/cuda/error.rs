//! Why a GPU cannot be used, or failed.

/// Why a GPU cannot be used, or failed. After each of these errors the same input may be computed on the CPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaError {
    /// There is no `libcuda`.
    #[error("no CUDA driver is installed")]
    NoDriver,
    /// The driver is there, and finds no device with this number.
    #[error("the CUDA driver has no device `{ordinal}`: {reason}")]
    NoDevice {
        /// Number of the device that was asked for.
        ordinal: u32,
        /// What the driver said.
        reason: String,
    },
    /// A call of the driver failed.
    #[error("the CUDA driver failed in `{call}`: {reason}")]
    Call {
        /// Name of the driver's function.
        call: &'static str,
        /// Name of the error.
        reason: String,
    },
    /// The batch does not fit into the memory of the device.
    #[error("the batch needs `{needed}` bytes on the device, `{available}` are available")]
    DeviceMemory {
        /// Bytes that the batch needs.
        needed: u64,
        /// Bytes that are free, or allowed.
        available: u64,
    },
    /// The result of the device contradicts itself, so that it cannot be used.
    #[error("the device returned a wrong result: {what}")]
    WrongResult {
        /// What is wrong.
        what: &'static str,
    },
    /// A library panicked, for instance because the driver is too old to have a function.
    #[error("the CUDA libraries panicked: {message}")]
    Panicked {
        /// Message of the panic.
        message: String,
    },
}
