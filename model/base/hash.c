/* SPDX-License-Identifier: MIT */
#include "model/base/hash.h"

#include <stdint.h>
#include <sys/types.h>

#include <sha2.h>

void sha256_hex(const void *bytes, size_t size, char ret[static SHA256_HEX_SIZE]) {
        static const char digits[] = "0123456789abcdef";
        uint8_t sum[SHA256_DIGEST_LENGTH];
        SHA2_CTX context;

        SHA256Init(&context);
        SHA256Update(&context, bytes, size);
        SHA256Final(sum, &context);
        for (size_t i = 0; i < sizeof(sum); i++) {
                ret[2 * i] = digits[sum[i] >> 4];
                ret[2 * i + 1] = digits[sum[i] & 0xf];
        }
        ret[2 * sizeof(sum)] = '\0';
}
