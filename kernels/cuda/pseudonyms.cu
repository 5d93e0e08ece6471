// Pseudonyms: HMAC-SHA-256 (RFC 2104, FIPS 180-4) of one text per thread.
//
// The key never comes here. The host sends the two states of SHA-256 after the key's blocks, so that a short text costs
// two compressions. Limits: any length of text; the bytes of a batch are addressed with 32 bits.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

__constant__ u32 ROUND_CONSTANTS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

__device__ u32 rotate_right(u32 word, u32 bits) {
    return (word >> bits) | (word << (32 - bits));
}

__device__ u32 swap_bytes(u32 word) {
    return (word >> 24) | ((word >> 8) & 0x0000ff00) | ((word << 8) & 0x00ff0000) | (word << 24);
}

// Compresses one block of 16 words into the state; the block is used up.
__device__ void compress(u32 state[8], u32 block[16]) {
    u32 a = state[0], b = state[1], c = state[2], d = state[3];
    u32 e = state[4], f = state[5], g = state[6], h = state[7];
#pragma unroll 1
    for (u32 sixteen = 0; sixteen < 64; sixteen += 16) {
#pragma unroll
        for (u32 word = 0; word < 16; ++word) {
            if (sixteen > 0) {
                u32 early = block[(word + 1) & 15], late = block[(word + 14) & 15];
                block[word] += (rotate_right(early, 7) ^ rotate_right(early, 18) ^ (early >> 3)) +
                               block[(word + 9) & 15] +
                               (rotate_right(late, 17) ^ rotate_right(late, 19) ^ (late >> 10));
            }
            u32 first = h + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                        ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[sixteen + word] + block[word];
            u32 second = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
                         ((a & b) ^ (a & c) ^ (b & c));
            h = g;
            g = f;
            f = e;
            e = d + first;
            d = c;
            c = b;
            b = a;
            a = first + second;
        }
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

// A byte of the padded message: the text, then 0x80, then zeros.
__device__ u32 padded_byte(const u8 *text, u32 length, u64 position) {
    if (position < length) return text[position];
    return position == length ? 0x80 : 0;
}

// Writes 8 words, which are 32 bytes as SHA-256 orders them, for each row.
//
// key_states: 8 words of the inner state, 8 of the outer one. starts: where each text starts in bytes, and where the
// last one ends; unused if has_starts is 0, and all texts then have `width` bytes.
extern "C" __global__ void pseudonyms(const u32 *key_states, const u8 *bytes, const u32 *starts, u32 has_starts,
                                      u32 width, u32 rows, u32 *out) {
    u64 row = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    u64 start = has_starts ? starts[row] : row * width;
    u32 length = has_starts ? starts[row + 1] - starts[row] : width;
    const u8 *text = bytes + start;

    u32 state[8], block[16];
    for (u32 word = 0; word < 8; ++word) state[word] = key_states[word];
    // One byte of end and eight of length follow the text.
    u64 blocks = ((u64)length + 8) / 64 + 1;
    for (u64 number = 0; number < blocks; ++number) {
        for (u32 word = 0; word < 16; ++word) {
            u64 position = number * 64 + word * 4;
            block[word] = (padded_byte(text, length, position) << 24) |
                          (padded_byte(text, length, position + 1) << 16) |
                          (padded_byte(text, length, position + 2) << 8) | padded_byte(text, length, position + 3);
        }
        if (number + 1 == blocks) {
            // The block of the key counts, too.
            u64 bits = ((u64)length + 64) * 8;
            block[14] = (u32)(bits >> 32);
            block[15] = (u32)bits;
        }
        compress(state, block);
    }

    for (u32 word = 0; word < 8; ++word) block[word] = state[word];
    block[8] = 0x80000000;
    for (u32 word = 9; word < 15; ++word) block[word] = 0;
    block[15] = (64 + 32) * 8;
    for (u32 word = 0; word < 8; ++word) state[word] = key_states[8 + word];
    compress(state, block);
    for (u32 word = 0; word < 8; ++word) out[row * 8 + word] = swap_bytes(state[word]);
}
