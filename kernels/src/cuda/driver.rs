//! The calls of the CUDA driver, behind types that release what they hold. The only file of the crate with unsafe code.
//!
//! Copies and launches are asynchronous: they run in the order in which a stream got them. What they use must outlive
//! them: device memory is freed by a call that waits for the device, and host memory is pinned memory of the crate.
#![expect(unsafe_code, reason = "the driver is a C library")]

use super::error::CudaError;
use cudarc::driver::sys;
use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::sync::Arc;

/// Returns whether a CUDA driver can be loaded.
pub(super) fn has_driver() -> bool {
    // SAFETY: loads a library that runs its own initialisers only.
    unsafe { sys::is_culib_present() }
}

/// Returns whether the compiler NVRTC can be loaded.
pub(super) fn has_compiler() -> bool {
    // SAFETY: as above.
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

fn check(call: &'static str, result: sys::CUresult) -> Result<(), CudaError> {
    match result {
        sys::CUresult::CUDA_SUCCESS => Ok(()),
        error => Err(CudaError::Call { call: call.trim_end_matches("_v2"), reason: format!("{error:?}") }),
    }
}

/// Calls a function of the driver.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: pointers are to live memory of the size that the function expects, handles are those that the driver gave
        // and that the types of this file have not released.
        check(stringify!($name), unsafe { sys::$name($($argument),*) })
    }};
}

/// Plain numbers, for which all bytes are valid.
///
/// # Safety
/// The type has no padding, and every pattern of bits is a value.
pub(super) unsafe trait Plain: Copy + Default {}
// SAFETY: integers.
unsafe impl Plain for u8 {}
// SAFETY: integers.
unsafe impl Plain for u32 {}
// SAFETY: integers.
unsafe impl Plain for u64 {}
// SAFETY: integers.
unsafe impl Plain for i64 {}
// SAFETY: an array of integers.
unsafe impl Plain for [u8; 32] {}

fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: `Plain` has no padding, and the length is that of the slice.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

fn bytes_of_mut<T: Plain>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: as above, and all bytes are valid.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// A device and its primary context.
#[derive(Debug)]
pub(super) struct Device {
    device: sys::CUdevice,
    context: sys::CUcontext,
}

// SAFETY: contexts may be used by all threads; `bind` makes it the context of the thread that calls.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// Opens a device and binds it to the thread.
    pub(super) fn open(ordinal: u32) -> Result<Arc<Self>, CudaError> {
        let no_device = |error| match error {
            CudaError::Call { call, reason } => CudaError::NoDevice { ordinal, reason: format!("`{call}`: {reason}") },
            other => other,
        };
        call!(cuInit(0)).map_err(no_device)?;
        let mut device = 0;
        let number = i32::try_from(ordinal).unwrap_or(i32::MAX);
        call!(cuDeviceGet(&raw mut device, number)).map_err(no_device)?;
        let mut context = std::ptr::null_mut();
        call!(cuDevicePrimaryCtxRetain(&raw mut context, device)).map_err(no_device)?;
        let device = Arc::new(Self { device, context });
        device.bind()?;
        Ok(device)
    }

    /// Makes the context current on this thread. Every other call of this file needs that.
    pub(super) fn bind(&self) -> Result<(), CudaError> {
        call!(cuCtxSetCurrent(self.context))
    }

    /// Returns the name of the device.
    pub(super) fn name(&self) -> Result<String, CudaError> {
        let mut name = [0; 128];
        call!(cuDeviceGetName(name.as_mut_ptr(), name.len() as i32 - 1, self.device))?;
        // SAFETY: the last byte is still 0.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        Ok(name.to_string_lossy().into_owned())
    }

    /// Returns the compute capability, such as 75 for 7.5.
    pub(super) fn capability(&self) -> Result<u32, CudaError> {
        use sys::CUdevice_attribute as Attribute;
        let (mut major, mut minor) = (0, 0);
        let attribute = Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
        call!(cuDeviceGetAttribute(&raw mut major, attribute, self.device))?;
        let attribute = Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
        call!(cuDeviceGetAttribute(&raw mut minor, attribute, self.device))?;
        Ok((major * 10 + minor).unsigned_abs())
    }

    /// Returns how many bytes of the device are free.
    pub(super) fn free_bytes(&self) -> Result<u64, CudaError> {
        let (mut free, mut total) = (0, 0);
        call!(cuMemGetInfo_v2(&raw mut free, &raw mut total))?;
        Ok(free as u64)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = call!(cuDevicePrimaryCtxRelease_v2(self.device));
    }
}

/// A loaded module.
#[derive(Debug)]
pub(super) struct Module {
    module: sys::CUmodule,
    device: Arc<Device>,
}

// SAFETY: modules may be used by all threads that bind the context.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    /// Loads PTX, which the driver compiles for the device.
    pub(super) fn load(device: &Arc<Device>, ptx: &CStr) -> Result<Arc<Self>, CudaError> {
        let mut module = std::ptr::null_mut();
        call!(cuModuleLoadData(&raw mut module, ptx.as_ptr().cast::<c_void>()))?;
        Ok(Arc::new(Self { module, device: device.clone() }))
    }

    /// Returns a kernel of the module.
    pub(super) fn function(self: &Arc<Self>, name: &CStr) -> Result<Function, CudaError> {
        let mut function = std::ptr::null_mut();
        call!(cuModuleGetFunction(&raw mut function, self.module, name.as_ptr()))?;
        Ok(Function { function, _module: self.clone() })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = self.device.bind();
        let _ = call!(cuModuleUnload(self.module));
    }
}

/// A kernel.
#[derive(Debug)]
pub(super) struct Function {
    function: sys::CUfunction,
    _module: Arc<Module>,
}

// SAFETY: functions belong to their module, which is alive.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

/// An array on the device. Its content is undefined until something writes it.
pub(super) struct Buffer<T> {
    pointer: sys::CUdeviceptr,
    len: usize,
    /// Keeps the context, and with a raw pointer the thread: the context is bound there.
    _device: PhantomData<*const T>,
}

impl<T: Plain> Buffer<T> {
    /// Allocates an array; of one entry if `len` is 0, because the driver refuses empty ones.
    pub(super) fn new(len: usize) -> Result<Self, CudaError> {
        let mut pointer = 0;
        call!(cuMemAlloc_v2(&raw mut pointer, len.max(1) * size_of::<T>()))?;
        Ok(Self { pointer, len, _device: PhantomData })
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        let _ = call!(cuMemFree_v2(self.pointer));
    }
}

/// Page-locked memory of the host, which the device copies from and to by itself.
#[derive(Debug)]
pub(super) struct Pinned {
    memory: *mut c_void,
    len: usize,
    device: Arc<Device>,
}

// SAFETY: plain memory with one owner.
unsafe impl Send for Pinned {}

impl Pinned {
    /// Allocates this many bytes.
    pub(super) fn new(device: &Arc<Device>, len: usize) -> Result<Self, CudaError> {
        let mut memory = std::ptr::null_mut();
        call!(cuMemHostAlloc(&raw mut memory, len, 0))?;
        // SAFETY: the driver just allocated it.
        unsafe { memory.cast::<u8>().write_bytes(0, len) };
        Ok(Self { memory, len, device: device.clone() })
    }

    /// Returns the bytes. No copy may be under way.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: allocated and initialised in `new`; borrowed as long as this is.
        unsafe { std::slice::from_raw_parts_mut(self.memory.cast(), self.len) }
    }

    /// Copies values into the memory.
    pub(super) fn fill<T: Plain>(&mut self, values: &[T]) {
        let bytes = bytes_of(values);
        self.bytes()[..bytes.len()].copy_from_slice(bytes);
    }

    /// Copies values out of the memory.
    pub(super) fn read<T: Plain>(&mut self, values: &mut [T]) {
        let bytes = bytes_of_mut(values);
        bytes.copy_from_slice(&self.bytes()[..bytes.len()]);
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.device.bind();
        let _ = call!(cuMemFreeHost(self.memory));
    }
}

/// A point in a stream that the host can wait for.
#[derive(Debug)]
pub(super) struct Event {
    event: sys::CUevent,
    device: Arc<Device>,
}

// SAFETY: events may be used by all threads that bind the context.
unsafe impl Send for Event {}

impl Event {
    /// Creates an event, at which a waiting thread sleeps.
    pub(super) fn new(device: &Arc<Device>) -> Result<Self, CudaError> {
        use sys::CUevent_flags as Flags;
        let flags = Flags::CU_EVENT_BLOCKING_SYNC as u32 | Flags::CU_EVENT_DISABLE_TIMING as u32;
        let mut event = std::ptr::null_mut();
        call!(cuEventCreate(&raw mut event, flags))?;
        Ok(Self { event, device: device.clone() })
    }

    /// Waits until the device has reached the point that was last recorded.
    pub(super) fn wait(&self) -> Result<(), CudaError> {
        call!(cuEventSynchronize(self.event))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let _ = self.device.bind();
        let _ = call!(cuEventDestroy_v2(self.event));
    }
}

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub(super) struct Argument(u64);

impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Self(u64::from(value))
    }
}

impl From<i64> for Argument {
    fn from(value: i64) -> Self {
        Self(value.cast_unsigned())
    }
}

impl<T> From<&Buffer<T>> for Argument {
    fn from(buffer: &Buffer<T>) -> Self {
        Self(buffer.pointer)
    }
}

/// A queue of copies and kernels.
#[derive(Debug)]
pub(super) struct Stream {
    stream: sys::CUstream,
    device: Arc<Device>,
}

// SAFETY: streams may be used by all threads that bind the context.
unsafe impl Send for Stream {}

impl Stream {
    /// Creates a stream that waits for no other.
    pub(super) fn new(device: &Arc<Device>) -> Result<Self, CudaError> {
        let mut stream = std::ptr::null_mut();
        call!(cuStreamCreate(&raw mut stream, sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32))?;
        Ok(Self { stream, device: device.clone() })
    }

    /// Waits until the device has done everything in the stream.
    pub(super) fn wait(&self) -> Result<(), CudaError> {
        call!(cuStreamSynchronize(self.stream))
    }

    /// Fills a buffer with a byte.
    pub(super) fn set<T: Plain>(&self, buffer: &Buffer<T>, byte: u8) -> Result<(), CudaError> {
        let len = buffer.len.max(1) * size_of::<T>();
        call!(cuMemsetD8Async(buffer.pointer, byte, len, self.stream))
    }

    /// Copies `len` entries from pinned memory to the entries of the buffer from `first` on, and records it in `done`.
    pub(super) fn send<T: Plain>(
        &self,
        from: &Pinned,
        to: &Buffer<T>,
        first: usize,
        len: usize,
        done: &Event,
    ) -> Result<(), CudaError> {
        assert!(first + len <= to.len && len * size_of::<T>() <= from.len, "a copy out of bounds");
        let place = to.pointer + (first * size_of::<T>()) as u64;
        call!(cuMemcpyHtoDAsync_v2(place, from.memory, len * size_of::<T>(), self.stream))?;
        call!(cuEventRecord(done.event, self.stream))
    }

    /// Copies `len` entries of the buffer, from `first` on, to pinned memory, and records it in `done`.
    pub(super) fn fetch<T: Plain>(
        &self,
        from: &Buffer<T>,
        first: usize,
        len: usize,
        to: &Pinned,
        done: &Event,
    ) -> Result<(), CudaError> {
        assert!(first + len <= from.len && len * size_of::<T>() <= to.len, "a copy out of bounds");
        let place = from.pointer + (first * size_of::<T>()) as u64;
        call!(cuMemcpyDtoHAsync_v2(to.memory, place, len * size_of::<T>(), self.stream))?;
        call!(cuEventRecord(done.event, self.stream))
    }

    /// Starts a kernel. The arguments must be those of its source, which the tests on the emulated device check.
    pub(super) fn launch(
        &self,
        function: &Function,
        blocks: u32,
        threads: u32,
        arguments: &mut [Argument],
    ) -> Result<(), CudaError> {
        let mut pointers: Vec<*mut c_void> =
            arguments.iter_mut().map(|argument| (&raw mut argument.0).cast::<c_void>()).collect();
        let (function, none) = (function.function, std::ptr::null_mut());
        let arguments = pointers.as_mut_ptr();
        call!(cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, self.stream, arguments, none))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.device.bind();
        let _ = self.wait();
        let _ = call!(cuStreamDestroy_v2(self.stream));
    }
}
