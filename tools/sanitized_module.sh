# For sanitized.sh and core.sh, from the repository's root: the Python module under AddressSanitizer
# and UBSan, with a copy of the package, and a program that runs Python with both.
#   sanitized_module PREFIX PYTHON FLAGS    into PREFIX/{build,site}; the program is PREFIX/python

sanitizer_library() { "${CXX:-g++}" -print-file-name="$1"; }

sanitized_module() {
    cmake -G Ninja -S . -B "$1/build" -DCMAKE_BUILD_TYPE=Debug -DMONO_PYTHON=ON \
        -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g $3" -DMONO_SANITIZE=address,undefined \
        -DPython_EXECUTABLE="$2" > /dev/null
    cmake --build "$1/build" --target _core
    mkdir -p "$1/site"
    rm -rf "$1/site/monoceros"
    cp -R python/monoceros "$1/site/"
    cmake --install "$1/build" --prefix "$1/site" > /dev/null
    # libstdc++ at once: without it ASan finds no __cxa_throw, which greenlet needs.
    cat > "$1/python" << END
#!/bin/sh
export LD_PRELOAD="$(sanitizer_library libasan.so) $(sanitizer_library libstdc++.so)"
export PYTHONPATH="$1/site\${PYTHONPATH:+:\$PYTHONPATH}" PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:quarantine_size_mb=32
export UBSAN_OPTIONS=print_stacktrace=1
exec "$2" "\$@"
END
    chmod +x "$1/python"
}
