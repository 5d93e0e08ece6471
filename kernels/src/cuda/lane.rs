//! A stream with pinned memory: what one call needs to feed the device.

use super::driver::{Argument, Buffer, Device, Event, Function, Pinned, Plain, Stream};
use super::error::CudaError;
use std::sync::Arc;

/// Threads of a block. `class_sizes.cu` allows at most 256.
const THREADS: u32 = 256;

/// Bytes of each of the two halves of pinned memory. Kept small, because locked pages are taken from everyone else.
const HALF: usize = 4 << 20;

/// A stream and two pieces of pinned memory: the device copies one while the host fills the other.
#[derive(Debug)]
pub(super) struct Lane {
    // Dropped first, which waits for all copies.
    stream: Stream,
    halves: [Half; 2],
}

#[derive(Debug)]
struct Half {
    memory: Pinned,
    /// Reached when the device has copied.
    done: Event,
}

impl Lane {
    pub(super) fn new(device: &Arc<Device>) -> Result<Self, CudaError> {
        let half = || Ok::<_, CudaError>(Half { memory: Pinned::new(device, HALF)?, done: Event::new(device)? });
        Ok(Self { stream: Stream::new(device)?, halves: [half()?, half()?] })
    }

    /// Waits until the device has done everything.
    pub(super) fn wait(&self) -> Result<(), CudaError> {
        self.stream.wait()
    }

    /// Returns a copy of the values on the device. It is there before kernels that are launched later.
    pub(super) fn upload<T: Plain>(&mut self, values: &[T]) -> Result<Buffer<T>, CudaError> {
        let buffer = Buffer::new(values.len())?;
        self.upload_into(values, &buffer, 0)?;
        Ok(buffer)
    }

    /// Copies the values to the entries of a buffer from `first` on.
    pub(super) fn upload_into<T: Plain>(
        &mut self,
        values: &[T],
        buffer: &Buffer<T>,
        first: usize,
    ) -> Result<(), CudaError> {
        let piece = HALF / size_of::<T>();
        for (number, values) in values.chunks(piece).enumerate() {
            let Half { memory, done } = &mut self.halves[number % 2];
            done.wait()?;
            memory.fill(values);
            self.stream.send(memory, buffer, first + number * piece, values.len(), done)?;
        }
        Ok(())
    }

    /// Returns the first `len` entries of a buffer, after all that was launched before.
    pub(super) fn download<T: Plain>(&mut self, buffer: &Buffer<T>, len: usize) -> Result<Vec<T>, CudaError> {
        let piece = HALF / size_of::<T>();
        let mut values = vec![T::default(); len];
        // Each piece is copied out while the device copies the next.
        let mut before: Option<(usize, &mut [T])> = None;
        for (number, values) in values.chunks_mut(piece).enumerate() {
            let Half { memory, done } = &self.halves[number % 2];
            self.stream.fetch(buffer, number * piece, values.len(), memory, done)?;
            if let Some((half, values)) = before.replace((number % 2, values)) {
                self.halves[half].finish(values)?;
            }
        }
        if let Some((half, values)) = before {
            self.halves[half].finish(values)?;
        }
        Ok(values)
    }

    /// Returns a buffer of which all bytes have this value.
    pub(super) fn filled<T: Plain>(&self, len: usize, byte: u8) -> Result<Buffer<T>, CudaError> {
        let buffer = Buffer::new(len)?;
        self.stream.set(&buffer, byte)?;
        Ok(buffer)
    }

    /// Overwrites a buffer of `len` entries with zeros, and what is left of it in the pinned memory that it was copied from.
    pub(super) fn wipe<T: Plain>(&mut self, buffer: &Buffer<T>, len: usize) -> Result<(), CudaError> {
        let on_device = self.stream.set(buffer, 0);
        let zeros = vec![T::default(); len];
        for Half { memory, done } in &mut self.halves {
            done.wait()?;
            memory.fill(&zeros);
        }
        on_device
    }

    /// Launches a kernel with one thread for every `per_thread` of `items`, which are not 0.
    pub(super) fn launch<const N: usize>(
        &self,
        function: &Function,
        items: usize,
        per_thread: usize,
        mut arguments: [Argument; N],
    ) -> Result<(), CudaError> {
        // Fits: there are fewer than 2^32 items.
        let blocks = items.div_ceil(per_thread * THREADS as usize) as u32;
        self.stream.launch(function, blocks, THREADS, &mut arguments)
    }
}

impl Half {
    fn finish<T: Plain>(&mut self, values: &mut [T]) -> Result<(), CudaError> {
        self.done.wait()?;
        self.memory.read(values);
        Ok(())
    }
}
