/* The one clock of this program. */

#define _GNU_SOURCE
#include "shim.h"

#include <time.h>

int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}
