#ifndef BUE_ASSERT_H
#define BUE_ASSERT_H
#define assert(condition) ((void)0)
#endif
