/* Avro records of plain fields, read and written in C: the compiled twin of flat.py; and the
partition of a key, that of murmur2.py.

Rule: the same as there. A short cut, never a second opinion: what is not plainly right is left to
the long way, through fastavro. Tests: tests/runtime/test_flat.py, for both twins alike.
*/

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>

enum kind { STRING = 's', BYTES = 'b', INT = 'i', LONG = 'l', BOOLEAN = '?', DOUBLE = 'd' };

#define MOST_SHIFT 56 /* a number of more than nine bytes goes the long way */
#define MOST_VARINT 10
#define FEW 16 /* fields that need no memory of their own while they are at hand */

/* What reader and writer share: the plan of a record. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *names;  /* tuple of str: the fields */
    PyObject *kinds;  /* bytes: a letter for each field */
    PyObject *target; /* reader: the message's type; writer: the long way */
    PyObject *prefix; /* writer: bytes before the fields */
    Py_ssize_t start; /* reader: where the fields begin */
} Plan;

/* An exception that the long way will judge better is forgotten; others (an interrupt) are not. */
static int
forgotten(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return 0;
    }
    PyErr_Clear();
    return 1;
}

/* Reading */

static int
read_varint(const unsigned char **at, const unsigned char *end, unsigned long long *number)
{
    unsigned long long found = 0;
    for (int shift = 0; shift <= MOST_SHIFT && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;
        found |= (unsigned long long)(byte & 127) << shift;
        if (byte < 128) {
            *number = found;
            return 1;
        }
    }
    return 0;
}

/* A field's value; NULL, with or without an exception: this is for the long way. */
static PyObject *
read_field(char kind, const unsigned char **at, const unsigned char *end)
{
    unsigned long long number;
    if (kind == DOUBLE) {
        if (end - *at < 8) {
            return NULL;
        }
        double found = PyFloat_Unpack8((const char *)*at, 1);
        *at += 8;
        return PyFloat_FromDouble(found);
    }
    if (kind == BOOLEAN) {
        if (*at == end || **at > 1) {
            return NULL;
        }
        return PyBool_FromLong(*(*at)++);
    }
    if (!read_varint(at, end, &number)) {
        return NULL;
    }
    if (kind == INT || kind == LONG) {
        return PyLong_FromLongLong((long long)(number >> 1) ^ -(long long)(number & 1));
    }
    Py_ssize_t size = (Py_ssize_t)(number >> 1);
    if (number & 1 || size > end - *at) {
        return NULL;
    }
    const char *from = (const char *)*at;
    *at += size;
    return kind == STRING ? PyUnicode_DecodeUTF8(from, size, NULL)
                          : PyBytes_FromStringAndSize(from, size);
}

static PyObject *
reader_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Plan *plan = (Plan *)self;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "a reader takes one argument, the record's value");
        return NULL;
    }
    if (!PyBytes_CheckExact(args[0]) || PyBytes_GET_SIZE(args[0]) < plan->start) {
        Py_RETURN_NONE;
    }
    const unsigned char *at = (const unsigned char *)PyBytes_AS_STRING(args[0]);
    const unsigned char *end = at + PyBytes_GET_SIZE(args[0]);
    const char *kinds = PyBytes_AS_STRING(plan->kinds);
    Py_ssize_t count = PyBytes_GET_SIZE(plan->kinds), done = 0;
    PyObject *few[FEW + 1] = {NULL}, **values = few, *message = NULL;
    if (count > FEW && (values = PyMem_New(PyObject *, (size_t)count + 1)) == NULL) {
        return PyErr_NoMemory();
    }
    at += plan->start;
    values++; /* room before the arguments: PY_VECTORCALL_ARGUMENTS_OFFSET */
    while (done < count && (values[done] = read_field(kinds[done], &at, end)) != NULL) {
        done++;
    }
    if (done == count && at == end) {
        message = PyObject_Vectorcall(
            plan->target, values, PY_VECTORCALL_ARGUMENTS_OFFSET, plan->names);
    }
    while (done > 0) {
        Py_DECREF(values[--done]);
    }
    if (--values != few) {
        PyMem_Free(values);
    }
    if (message != NULL || (PyErr_Occurred() && !forgotten())) {
        return message;
    }
    Py_RETURN_NONE;
}

/* Writing */

static unsigned char *
write_varint(unsigned char *at, unsigned long long number)
{
    while (number > 127) {
        *at++ = (unsigned char)(number & 127) | 128;
        number >>= 7;
    }
    *at++ = (unsigned char)number;
    return at;
}

/* The bytes of text or bytes; NULL, with or without an exception: this is for the long way. */
static const char *
bytes_of(char kind, PyObject *value, Py_ssize_t *size)
{
    if (kind == STRING) {
        return PyUnicode_CheckExact(value) ? PyUnicode_AsUTF8AndSize(value, size) : NULL;
    }
    if (!PyBytes_CheckExact(value)) {
        return NULL;
    }
    *size = PyBytes_GET_SIZE(value);
    return PyBytes_AS_STRING(value);
}

/* Room that a field takes at most; -1, with or without an exception: this is for the long way. */
static Py_ssize_t
room_of(char kind, PyObject *value)
{
    Py_ssize_t size;
    switch (kind) {
    case STRING:
    case BYTES:
        return bytes_of(kind, value, &size) != NULL ? size + MOST_VARINT : -1;
    case INT:
    case LONG:
        return PyLong_CheckExact(value) ? MOST_VARINT : -1;
    case BOOLEAN:
        return PyBool_Check(value) ? 1 : -1;
    default:
        return PyFloat_CheckExact(value) ? 8 : -1;
    }
}

/* Writes a field that `room_of` has seen; NULL: a number is out of range. */
static unsigned char *
write_field(char kind, PyObject *value, unsigned char *at)
{
    if (kind == STRING || kind == BYTES) {
        Py_ssize_t size;
        const char *from = bytes_of(kind, value, &size);
        at = write_varint(at, (unsigned long long)size << 1);
        memcpy(at, from, (size_t)size);
        return at + size;
    }
    if (kind == BOOLEAN) {
        *at = value == Py_True;
        return at + 1;
    }
    if (kind == DOUBLE) {
        return PyFloat_Pack8(PyFloat_AS_DOUBLE(value), (char *)at, 1) == 0 ? at + 8 : NULL;
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow || (kind == INT && (number > INT32_MAX || number < INT32_MIN))) {
        return NULL;
    }
    unsigned long long sign = number < 0 ? ~0ULL : 0;
    return write_varint(at, ((unsigned long long)number << 1) ^ sign);
}

/* A record's bytes; NULL, with or without an exception: this is for the long way. */
static PyObject *
written(Plan *plan, PyObject *const *values, Py_ssize_t room)
{
    Py_ssize_t count = PyBytes_GET_SIZE(plan->kinds), before = PyBytes_GET_SIZE(plan->prefix);
    const char *kinds = PyBytes_AS_STRING(plan->kinds);
    unsigned char few[1024], *to = few, *at;
    if (room > (Py_ssize_t)sizeof few && (to = PyMem_Malloc((size_t)room)) == NULL) {
        return PyErr_NoMemory();
    }
    memcpy(to, PyBytes_AS_STRING(plan->prefix), (size_t)before);
    at = to + before;
    for (Py_ssize_t n = 0; n < count && at != NULL; n++) {
        at = write_field(kinds[n], values[n], at);
    }
    PyObject *record = at != NULL ? PyBytes_FromStringAndSize((char *)to, at - to) : NULL;
    if (to != few) {
        PyMem_Free(to);
    }
    return record;
}

static PyObject *
writer_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Plan *plan = (Plan *)self;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "a writer takes one argument, the message");
        return NULL;
    }
    const char *kinds = PyBytes_AS_STRING(plan->kinds);
    Py_ssize_t count = PyBytes_GET_SIZE(plan->kinds), done = 0;
    Py_ssize_t room = PyBytes_GET_SIZE(plan->prefix);
    PyObject *few[FEW], **values = few, *record = NULL;
    if (count > FEW && (values = PyMem_New(PyObject *, (size_t)count)) == NULL) {
        return PyErr_NoMemory();
    }
    while (done < count) {
        values[done] = PyObject_GetAttr(args[0], PyTuple_GET_ITEM(plan->names, done));
        if (values[done] == NULL) {
            break;
        }
        Py_ssize_t more = room_of(kinds[done], values[done]);
        done++;
        if (more < 0 || more > PY_SSIZE_T_MAX - room) {
            room = -1;
            break;
        }
        room += more;
    }
    if (done == count && room >= 0) {
        record = written(plan, values, room);
    }
    while (done > 0) {
        Py_DECREF(values[--done]);
    }
    if (values != few) {
        PyMem_Free(values);
    }
    if (record != NULL || (PyErr_Occurred() && !forgotten())) {
        return record;
    }
    return PyObject_CallOneArg(plan->target, args[0]);
}

/* The objects */

static int
plan_traverse(Plan *self, visitproc visit, void *arg)
{
    Py_VISIT(self->target);
    return 0;
}

static int
plan_clear(Plan *self)
{
    Py_CLEAR(self->target);
    return 0;
}

static void
plan_dealloc(Plan *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->target);
    Py_CLEAR(self->names);
    Py_CLEAR(self->kinds);
    Py_CLEAR(self->prefix);
    PyObject_GC_Del(self);
}

static PyTypeObject PlanType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pmstream.runtime._flat.Plan",
    .tp_doc = "Reads or writes the records of one schema.",
    .tp_basicsize = sizeof(Plan),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Plan, call),
    .tp_call = PyVectorcall_Call,
    .tp_traverse = (traverseproc)plan_traverse,
    .tp_clear = (inquiry)plan_clear,
    .tp_dealloc = (destructor)plan_dealloc,
};

static PyObject *
planned(PyObject *names, PyObject *kinds, PyObject *target, vectorcallfunc call)
{
    if (PyTuple_GET_SIZE(names) != PyBytes_GET_SIZE(kinds)) {
        PyErr_SetString(PyExc_ValueError, "each field needs a name and a kind");
        return NULL;
    }
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(names); n++) {
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(names, n))
            || memchr("sbil?d", PyBytes_AS_STRING(kinds)[n], 6) == NULL) {
            PyErr_SetString(PyExc_ValueError, "a name must be text, a kind one of s b i l ? d");
            return NULL;
        }
    }
    Plan *plan = PyObject_GC_New(Plan, &PlanType);
    if (plan == NULL) {
        return NULL;
    }
    plan->call = call;
    plan->names = Py_NewRef(names);
    plan->kinds = Py_NewRef(kinds);
    plan->target = Py_NewRef(target);
    plan->prefix = NULL;
    plan->start = 0;
    PyObject_GC_Track(plan);
    return (PyObject *)plan;
}

static PyObject *
make_reader(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *names, *kinds, *target;
    Py_ssize_t start;
    if (!PyArg_ParseTuple(args, "O!SnO", &PyTuple_Type, &names, &kinds, &start, &target)) {
        return NULL;
    }
    if (start < 0) {
        PyErr_SetString(PyExc_ValueError, "fields cannot begin before the record");
        return NULL;
    }
    PyObject *plan = planned(names, kinds, target, reader_call);
    if (plan != NULL) {
        ((Plan *)plan)->start = start;
    }
    return plan;
}

static PyObject *
make_writer(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *names, *kinds, *prefix, *target;
    if (!PyArg_ParseTuple(args, "O!SSO", &PyTuple_Type, &names, &kinds, &prefix, &target)) {
        return NULL;
    }
    PyObject *plan = planned(names, kinds, target, writer_call);
    if (plan != NULL) {
        ((Plan *)plan)->prefix = Py_NewRef(prefix);
    }
    return plan;
}

/* The partition of a key */

/* Kafka's 32-bit murmur2, as murmur2.py has it. */
static uint32_t
murmur2(const unsigned char *data, Py_ssize_t size)
{
    const uint32_t m = 0x5BD1E995;
    uint32_t h = 0x9747B28C ^ (uint32_t)size;
    for (; size >= 4; data += 4, size -= 4) {
        uint32_t k = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
                     (uint32_t)data[3] << 24;
        k *= m;
        h = (h * m) ^ ((k ^ k >> 24) * m);
    }
    if (size > 0) {
        for (Py_ssize_t at = 0; at < size; at++) {
            h ^= (uint32_t)data[at] << 8 * at;
        }
        h *= m;
    }
    h = (h ^ h >> 13) * m;
    return h ^ h >> 15;
}

static PyObject *
partition(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[0])) {
        return PyErr_Format(PyExc_TypeError, "partition() takes bytes and a number of partitions");
    }
    long partitions = PyLong_AsLong(args[1]);
    if (partitions <= 0 || partitions > INT32_MAX) {
        return PyErr_Occurred() ? NULL
                                : PyErr_Format(PyExc_ValueError, "%ld partitions", partitions);
    }
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(args[0]);
    uint32_t hash = murmur2(data, PyBytes_GET_SIZE(args[0])) & 0x7FFFFFFF;
    return PyLong_FromLong((long)(hash % (uint32_t)partitions));
}

static PyMethodDef functions[] = {
    {"partition", (PyCFunction)(void (*)(void))partition, METH_FASTCALL,
     "partition(key, partitions): the one that Java's default partitioner gives a key."},
    {"reader", make_reader, METH_VARARGS,
     "reader(names, kinds, start, type_): a function from a record's bytes to a message or None."},
    {"writer", make_writer, METH_VARARGS,
     "writer(names, kinds, prefix, slowly): a function from a message to a record's bytes."},
    {NULL, NULL, 0, NULL},
};

static int
prepare(PyObject *Py_UNUSED(module))
{
    return PyType_Ready(&PlanType);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, prepare}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_flat",
    .m_doc = "Avro records of plain fields and the partition of a key, compiled; see flat.py.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__flat(void)
{
    return PyModuleDef_Init(&module);
}
