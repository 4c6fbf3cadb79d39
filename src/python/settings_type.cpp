// monoceros._core's view of the settings table: rows and grammar for config.py, and Settings, the
// frozen values that the engine reads.
#include "python/settings_type.hpp"

#include <new>
#include <string>

#include "config/parse.hpp"
#include "config/profiles.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

using config::Row;
using config::Value;

struct SettingsObject {
    PyObject_HEAD config::Settings value;
};

PyObject* to_unicode(std::string_view text) {
    return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
}

bool to_view(PyObject* unicode, std::string_view& view) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(unicode, &size);
    if (data == nullptr) return false;
    view = {data, static_cast<size_t>(size)};
    return true;
}

PyObject* refuse(PyObject* kind, std::string_view sentence) {
    Ref text(to_unicode(sentence));
    if (text) PyErr_SetObject(kind, text.get());
    return nullptr;
}

// One overload a type that a setting can have.
PyObject* to_object(std::monostate) { Py_RETURN_NONE; }
PyObject* to_object(bool value) { return PyBool_FromLong(value ? 1 : 0); }
PyObject* to_object(int64_t value) { return PyLong_FromLongLong(value); }
PyObject* to_object(const std::string& value) { return to_unicode(value); }

PyObject* to_object(const config::Texts& value) {
    Ref list(PyList_New(static_cast<Py_ssize_t>(value.size())));
    for (size_t i = 0; list && i < value.size(); ++i) {
        PyObject* item = to_unicode(value[i]);
        if (item == nullptr) return nullptr;
        PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), item);
    }
    return list.release();
}

PyObject* to_object(const config::Pairs& value) {
    Ref dict(PyDict_New());
    for (size_t i = 0; dict && i < value.size(); ++i) {
        Ref key(to_unicode(value[i].first));
        Ref item(to_unicode(value[i].second));
        if (!key || !item || PyDict_SetItem(dict.get(), key.get(), item.get()) < 0) return nullptr;
    }
    return dict.release();
}

PyObject* value_object(const Value& value) {
    return std::visit([](const auto& inner) { return to_object(inner); }, value);
}

// The default as Setting.default shows it: lists joined by commas stay text there.
PyObject* default_object(const Row& row) {
    if (row.fallback == nullptr) Py_RETURN_NONE;
    switch (row.kind) {
        case config::Kind::kCsv:
        case config::Kind::kNetworks:
        case config::Kind::kProtocols:
            return to_unicode(row.fallback);
        default:
            break;
    }
    auto value = config::parse(row, row.fallback);
    return value ? value_object(value.value()) : refuse(PyExc_SystemError, value.sentence());
}

const char* name_of(config::Kind kind) {
    switch (kind) {
        case config::Kind::kInt:
            return "int";
        case config::Kind::kOctal:
            return "octal";
        case config::Kind::kSize:
            return "size";
        case config::Kind::kShare:
            return "share";
        case config::Kind::kFlag:
            return "flag";
        case config::Kind::kSendfile:
            return "sendfile";
        case config::Kind::kText:
            return "text";
        case config::Kind::kEnum:
            return "enum";
        case config::Kind::kTexts:
            return "texts";
        case config::Kind::kBuffering:
            return "buffering";
        case config::Kind::kCsv:
            return "csv";
        case config::Kind::kNetworks:
            return "networks";
        case config::Kind::kProtocols:
            return "protocols";
        case config::Kind::kDict:
            return "dict";
        case config::Kind::kClass:
            return "class";
        case config::Kind::kHook:
            return "hook";
        case config::Kind::kUser:
            return "user";
        case config::Kind::kGroup:
            return "group";
        case config::Kind::kChdir:
            return "chdir";
        case config::Kind::kFiles:
            return "files";
        case config::Kind::kStatsd:
            return "statsd";
        case config::Kind::kTlsVersion:
            return "tls_version";
    }
    return "";
}

const char* name_of(config::Scope scope) {
    switch (scope) {
        case config::Scope::kEngine:
            return "engine";
        case config::Scope::kMaster:
            return "master";
        case config::Scope::kPython:
            return "python";
    }
    return "";
}

const char* name_of(config::Ready ready) {
    switch (ready) {
        case config::Ready::kNow:
            return "now";
        case config::Ready::kLater:
            return "later";
        case config::Ready::kRefuse:
            return "refuse";
        case config::Ready::kUnused:
            return "unused";
    }
    return "";
}

// Takes over `items`; fails if one of them is nullptr.
template <size_t kSize>
PyObject* tuple_of(PyObject* (&&items)[kSize]) {
    Ref owned[kSize];
    for (size_t i = 0; i < kSize; ++i) owned[i].reset(items[i]);
    Ref tuple(PyTuple_New(kSize));
    for (size_t i = 0; tuple && i < kSize; ++i) {
        if (!owned[i]) return PyErr_Occurred() ? nullptr : PyErr_NoMemory();
        PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), owned[i].release());
    }
    return tuple.release();
}

PyObject* row_object(const Row& row) {
    return tuple_of({to_unicode(row.name), to_unicode(row.klass), to_unicode(row.section),
                     to_unicode(row.flags), to_unicode(row.metavar),
                     PyUnicode_InternFromString(name_of(row.kind)), default_object(row),
                     to_unicode(row.domain), to_unicode(row.doc),
                     PyUnicode_InternFromString(name_of(row.scope)),
                     PyUnicode_InternFromString(name_of(row.ready)), to_unicode(row.note)});
}

PyObject* settings_table(PyObject*, PyObject*) {
    const auto rows = config::table();
    Ref list(PyList_New(static_cast<Py_ssize_t>(rows.size())));
    for (size_t i = 0; list && i < rows.size(); ++i) {
        PyObject* row = row_object(rows[i]);
        if (row == nullptr) return nullptr;
        PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), row);
    }
    return list.release();
}

// The row called `name`, or nullptr with KeyError set.
const Row* row_called(PyObject* name) {
    std::string_view text;
    if (!to_view(name, text)) return nullptr;
    const Row* row = config::find(text);
    if (row == nullptr) PyErr_SetObject(PyExc_KeyError, name);
    return row;
}

PyObject* setting_row(PyObject*, PyObject* name) {
    const Row* row = row_called(name);
    return row == nullptr ? nullptr : row_object(*row);
}

PyObject* setting_values(PyObject*, PyObject*) {
    Ref dict(PyDict_New());
    if (!dict) return nullptr;
    for (const Row& row : config::table()) {
        Ref name(to_unicode(row.name));
        if (!name) return nullptr;
        PyObject* interned = name.release();
        PyUnicode_InternInPlace(&interned);
        name.reset(interned);
        Value value;
        if (row.fallback != nullptr) {
            auto parsed = config::parse(row, row.fallback);
            if (!parsed) return refuse(PyExc_SystemError, parsed.sentence());
            value = std::move(parsed.value());
        }
        Ref object(value_object(value));
        if (!object || PyDict_SetItem(dict.get(), name.get(), object.get()) < 0) return nullptr;
    }
    return dict.release();
}

PyObject* parse_setting(PyObject*, PyObject* args) {
    PyObject* name = nullptr;
    PyObject* given = nullptr;
    if (!PyArg_ParseTuple(args, "UU:parse_setting", &name, &given)) return nullptr;
    std::string_view text;
    const Row* row = row_called(name);
    if (row == nullptr || !to_view(given, text)) return nullptr;
    auto value = config::parse(*row, text);
    return value ? value_object(value.value()) : refuse(PyExc_ValueError, value.sentence());
}

PyObject* find_flag(PyObject*, PyObject* flag) {
    std::string_view text;
    if (!to_view(flag, text)) return nullptr;
    const Row* row = config::find_flag(text);
    if (row == nullptr) Py_RETURN_NONE;
    return tuple_of({to_unicode(row->name), to_unicode(name_of(row->kind))});
}

PyObject* setting_names(PyObject*, PyObject* kind) {
    std::string_view text;
    Ref list(PyList_New(0));
    if (!list || !to_view(kind, text)) return nullptr;
    for (const Row& row : config::table()) {
        if (text != name_of(row.kind)) continue;
        Ref name(to_unicode(row.name));
        if (!name || PyList_Append(list.get(), name.get()) < 0) return nullptr;
    }
    return list.release();
}

PyObject* profile_table(PyObject*, PyObject*) {
    Ref list(PyList_New(0));
    for (const config::ProfileRow& row : config::profiles()) {
        auto value = config::parse(*config::find(row.setting), row.value);
        if (!value) return refuse(PyExc_SystemError, value.sentence());
        Ref item(
            tuple_of({to_unicode(row.behind), to_unicode(row.setting), value_object(value.value()),
                      to_unicode(row.value), to_unicode(row.why), to_unicode(row.source)}));
        if (!list || !item || PyList_Append(list.get(), item.get()) < 0) return nullptr;
    }
    return list.release();
}

PyObject* nearest_setting(PyObject*, PyObject* name) {
    std::string_view text;
    if (!to_view(name, text)) return nullptr;
    const Row* row = config::nearest(text);
    if (row == nullptr) Py_RETURN_NONE;
    return to_unicode(row->name);
}

PyObject* parse_network(PyObject*, PyObject* given) {
    std::string_view text;
    if (!to_view(given, text)) return nullptr;
    auto network = config::parse_network(text);
    return network ? to_unicode(network.value()) : refuse(PyExc_ValueError, network.sentence());
}

PyObject* parse_address(PyObject*, PyObject* args) {
    PyObject* given = nullptr;
    long long port = 8000;
    if (!PyArg_ParseTuple(args, "U|L:parse_address", &given, &port)) return nullptr;
    std::string_view text;
    if (!to_view(given, text)) return nullptr;
    auto parsed = config::parse_bind(text, port);
    if (!parsed) return refuse(PyExc_ValueError, parsed.sentence());
    const config::BindAddress& address = parsed.value();
    switch (address.family) {
        case config::BindAddress::Family::kUnix:
            return to_unicode(address.host);
        case config::BindAddress::Family::kFd:
            return PyLong_FromLongLong(address.number);
        case config::BindAddress::Family::kTcp:
            break;
    }
    return tuple_of({to_unicode(address.host), PyLong_FromLongLong(address.number)});
}

// ---- From Python values into config::Settings. Each returns false with an exception set.

bool wrong_type(const char* name, const char* wanted, PyObject* given) {
    PyErr_Format(PyExc_TypeError, "%s must be %s, not %R.", name, wanted, given);
    return false;
}

bool assign(bool& member, const char* name, PyObject* given) {
    if (!PyBool_Check(given) && given != Py_None) return wrong_type(name, "True or False", given);
    member = given == Py_True;
    return true;
}

bool assign(int64_t& member, const char* name, PyObject* given) {
    if (!PyLong_Check(given)) return wrong_type(name, "an integer", given);
    const long long value = PyLong_AsLongLong(given);
    if (value == -1 && PyErr_Occurred() != nullptr) return false;
    const std::string sentence = config::out_of_range(*config::find(name), value);
    if (!sentence.empty()) {
        refuse(PyExc_ValueError, sentence);
        return false;
    }
    member = value;
    return true;
}

bool assign(std::string& member, const char* name, PyObject* given) {
    std::string_view text;
    if (given != Py_None) {
        if (!PyUnicode_Check(given)) return wrong_type(name, "a string", given);
        if (!to_view(given, text)) return false;
    }
    member = text;
    return true;
}

bool assign(config::Texts& member, const char* name, PyObject* given) {
    if (PyUnicode_Check(given)) return wrong_type(name, "a list of strings", given);
    Ref items(PySequence_Fast(given, name));
    if (!items) return false;
    config::Texts texts;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
        std::string text;
        if (!assign(text, name, PySequence_Fast_GET_ITEM(items.get(), i))) return false;
        texts.push_back(std::move(text));
    }
    member = std::move(texts);
    return true;
}

bool assign(config::Pairs& member, const char* name, PyObject* given) {
    if (!PyDict_Check(given)) return wrong_type(name, "a dictionary", given);
    config::Pairs pairs;
    PyObject* key = nullptr;
    PyObject* item = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(given, &at, &key, &item) != 0;) {
        std::pair<std::string, std::string> pair;
        if (!assign(pair.first, name, key) || !assign(pair.second, name, item)) return false;
        pairs.push_back(std::move(pair));
    }
    member = std::move(pairs);
    return true;
}

// Networks are kept as ADDRESS/BITS, so that their reader needs one grammar only.
template <class T>
bool assign_row(T& member, config::Kind kind, const char* name, PyObject* given) {
    if (!assign(member, name, given)) return false;
    if constexpr (std::is_same_v<T, config::Texts>) {
        for (size_t i = 0; kind == config::Kind::kNetworks && i < member.size(); ++i) {
            auto network = config::parse_network(member[i]);
            if (!network) {
                refuse(PyExc_ValueError, std::string(name) + ": " + network.sentence());
                return false;
            }
            member[i] = network.value();
        }
    }
    return true;
}

#define MONO_PUT_Engine(kind, name)                                                  \
    if (Ref given(find_item(mapping, #name)); given) {                               \
        if (!assign_row(settings.name, config::Kind::k##kind, #name, given.get())) { \
            return false;                                                            \
        }                                                                            \
    } else if (PyErr_Occurred() != nullptr) {                                        \
        return false;                                                                \
    }
#define MONO_PUT_Master(kind, name) MONO_PUT_Engine(kind, name)
#define MONO_PUT_Python(kind, name)

// A new reference, or nullptr; no exception is set if the key is merely absent.
PyObject* find_item(PyObject* mapping, const char* name) {
    Ref key(PyUnicode_FromString(name));
    return key ? Py_XNewRef(PyDict_GetItemWithError(mapping, key.get())) : nullptr;
}

bool fill(config::Settings& settings, PyObject* mapping) {
#define MONO_SETTING(scope, kind, name, ...) MONO_PUT_##scope(kind, name)
#include "config/settings.def"
#undef MONO_SETTING
    return true;
}

bool only_known(PyObject* mapping) {
    PyObject* key = nullptr;
    PyObject* item = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(mapping, &at, &key, &item) != 0;) {
        if (row_called(key) == nullptr) return false;
    }
    return true;
}

PyObject* settings_new(PyTypeObject* type, PyObject* args, PyObject* keywords) {
    PyObject* given = nullptr;
    static const char* const names[] = {"mapping", nullptr};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O!:Settings", const_cast<char**>(names),
                                     &PyDict_Type, &given)) {
        return nullptr;
    }
    Ref self(type->tp_alloc(type, 0));
    if (!self) return nullptr;
    auto* object = reinterpret_cast<SettingsObject*>(self.get());
    new (&object->value) config::Settings();
    if (given != nullptr && (!only_known(given) || !fill(object->value, given))) return nullptr;
    return self.release();
}

void settings_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    reinterpret_cast<SettingsObject*>(self)->value.~Settings();
    type->tp_free(self);
    Py_DECREF(type);
}

#define MONO_GET_Engine(name) \
    if (text == #name) return to_object(value.name);
#define MONO_GET_Master(name) MONO_GET_Engine(name)
#define MONO_GET_Python(name)

PyObject* settings_getattro(PyObject* self, PyObject* name) {
    const config::Settings& value = reinterpret_cast<SettingsObject*>(self)->value;
    std::string_view text;
    if (!to_view(name, text)) return nullptr;
#define MONO_SETTING(scope, kind, name, ...) MONO_GET_##scope(name)
#include "config/settings.def"
#undef MONO_SETTING
    return PyObject_GenericGetAttr(self, name);
}

PyType_Slot type_slots[] = {
    {Py_tp_doc, const_cast<char*>("The settings that C++ reads, from a dict of checked values.")},
    {Py_tp_new, reinterpret_cast<void*>(settings_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(settings_dealloc)},
    {Py_tp_getattro, reinterpret_cast<void*>(settings_getattro)},
    {0, nullptr},
};

PyType_Spec type_spec = {"monoceros._core.Settings", sizeof(SettingsObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, type_slots};

PyMethodDef functions[] = {
    {"settings_table", settings_table, METH_NOARGS, "All rows, each as setting_row() gives it."},
    {"setting_row", setting_row, METH_O, "One row of the table; KeyError if there is none."},
    {"setting_values", setting_values, METH_NOARGS, "A new dict of every default value."},
    {"parse_setting", parse_setting, METH_VARARGS, "The value that a text stands for."},
    {"find_flag", find_flag, METH_O, "(name, kind) of the setting that a flag sets, or None."},
    {"setting_names", setting_names, METH_O, "The names of all settings of a kind."},
    {"profile_table", profile_table, METH_NOARGS,
     "[(behind, setting, value, value as text, why, source)]"},
    {"nearest_setting", nearest_setting, METH_O, "The most similar name, or None."},
    {"parse_network", parse_network, METH_O, "ADDRESS/BITS or *; ValueError otherwise."},
    {"parse_address", parse_address, METH_VARARGS, "(host, port), a path, or a descriptor."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

const config::Settings* settings_of(PyObject* object) {
    // The type object lives in a module; its destructor function is ours alone and needs no
    // look-up.
    if (Py_TYPE(object)->tp_dealloc != settings_dealloc) {
        PyErr_Format(PyExc_TypeError, "expected _core.Settings, not %R", object);
        return nullptr;
    }
    return &reinterpret_cast<SettingsObject*>(object)->value;
}

int add_settings_type(PyObject* module) {
    if (PyModule_AddFunctions(module, functions) < 0) return -1;
    Ref type(PyType_FromModuleAndSpec(module, &type_spec, nullptr));
    if (!type) return -1;
    return PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type.get()));
}

}  // namespace mono::python
