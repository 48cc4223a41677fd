#ifndef BUE_STDIO_H
#define BUE_STDIO_H
#include <stddef.h>
#endif
