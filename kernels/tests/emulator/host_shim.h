// What CUDA C has and C++ has not, so that a `.cu` file compiles as C++17 and runs on the emulated device.
#pragma once

#include "device.h"

#define __global__
#define __device__ static inline
#define __constant__ static const
// One section holds the shared memory of a block, so that the device can overwrite it before each block.
#define __shared__ static __attribute__((section("emulated_shared")))

#define threadIdx emulator::thread_index
#define blockIdx emulator::block_index
#define blockDim emulator::block_size
#define __syncthreads() emulator::barrier()

template <typename T>
T atomicAdd(T *word, T value) {
    return emulator::atomic(word, [value](T old) { return T(old + value); });
}
template <typename T>
T atomicMin(T *word, T value) {
    return emulator::atomic(word, [value](T old) { return value < old ? value : old; });
}
template <typename T>
T atomicOr(T *word, T value) {
    return emulator::atomic(word, [value](T old) { return T(old | value); });
}
template <typename T>
T atomicCAS(T *word, T expected, T value) {
    return emulator::atomic(word, [expected, value](T old) { return old == expected ? value : old; });
}
