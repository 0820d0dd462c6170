/* A token that is SoftHSM, but for what STRANGE_TOKEN says: "last-try", its PIN has one try left; "bare-point",
 * it shows the point of a public key without the OCTET STRING around it. Numbers are those of PKCS #11 2.40. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong;
struct attribute {
    ulong type;
    unsigned char *value;
    ulong length;
};
struct functions {
    unsigned char version[8];
    void *function[68]; /* in the order of the standard */
};
enum { GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6, GET_ATTRIBUTE_VALUE = 24 };

static struct functions strange;
static ulong (*info_of)(ulong slot, unsigned char *info);
static ulong (*attributes_of)(ulong session, ulong object, struct attribute *asked, ulong count);

static int is(const char *what) {
    const char *strange_token = getenv("STRANGE_TOKEN");
    return strange_token && !strcmp(strange_token, what);
}

static ulong get_token_info(ulong slot, unsigned char *info) {
    ulong result = info_of(slot, info);
    ulong *flags = (ulong *)(info + 96); /* after label, manufacturer, model and serial number */
    if (!result && is("last-try"))
        *flags |= 0x20000; /* CKF_USER_PIN_FINAL_TRY */
    return result;
}

static ulong get_attribute_value(ulong session, ulong object, struct attribute *asked, ulong count) {
    if (!is("bare-point") || count != 1 || asked->type != 0x181) /* CKA_EC_POINT */
        return attributes_of(session, object, asked, count);
    unsigned char whole[67]; /* two bytes, and a point on P-256 */
    struct attribute point = {asked->type, whole, sizeof whole};
    ulong result = attributes_of(session, object, &point, 1);
    asked->length = point.length - 2;
    if (asked->value)
        memcpy(asked->value, whole + 2, asked->length);
    return result;
}

ulong C_GetFunctionList(struct functions **list) {
    struct functions *real;
    void *library = dlopen(getenv("SOFTHSM"), RTLD_NOW);
    ulong (*get)(struct functions **) = (ulong (*)(struct functions **))dlsym(library, "C_GetFunctionList");
    ulong result = get(&real);
    strange = *real;
    info_of = strange.function[GET_TOKEN_INFO];
    attributes_of = strange.function[GET_ATTRIBUTE_VALUE];
    strange.function[GET_FUNCTION_LIST] = C_GetFunctionList;
    strange.function[GET_TOKEN_INFO] = get_token_info;
    strange.function[GET_ATTRIBUTE_VALUE] = get_attribute_value;
    *list = &strange;
    return result;
}
