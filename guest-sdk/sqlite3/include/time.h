#ifndef BUE_TIME_H
#define BUE_TIME_H
typedef long long time_t;
struct tm {
    int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst, __tm_gmtoff;
    const char *__tm_zone;
    int __tm_nsec;
};
struct tm *localtime_r(const time_t *restrict seconds, struct tm *restrict parts);
#endif
