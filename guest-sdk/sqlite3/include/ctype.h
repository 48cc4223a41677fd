#ifndef BUE_CTYPE_H
#define BUE_CTYPE_H
int isalnum(int byte);
int isalpha(int byte);
int isdigit(int byte);
int isspace(int byte);
int isxdigit(int byte);
int tolower(int byte);
int toupper(int byte);
#endif
