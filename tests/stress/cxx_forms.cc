// Every form of operator new and delete: aligned as asked, usable, freed by each delete that fits; what cannot be had is
// std::bad_alloc or, for the nothrow forms, NULL, after the new-handler was asked.
//
//   cxx_forms      exit code 1 with a line for each form that does not hold
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

static int n_bad;

static void expect(bool holds, const char *what) {
    if (!holds) {
        std::printf("%s\n", what);
        n_bad++;
    }
}

static void *used(void *p, std::size_t size, std::size_t align, const char *what) {
    expect(p != nullptr, what);
    expect(reinterpret_cast<std::uintptr_t>(p) % align == 0, what);
    std::memset(p, 0x21, size);
    return p;
}

static const std::size_t sizes[] = {0, 1, 16, 100, 4096, 70000, 5000000};

static void plain_forms() {
    const auto &no = std::nothrow;
    for (std::size_t n : sizes) {
        ::operator delete(used(::operator new(n), n, 1, "new"));
        ::operator delete(used(::operator new(n), n, 1, "new, sized delete"), n);
        ::operator delete(used(::operator new(n), n, 1, "new, nothrow delete"), no);
        ::operator delete(used(::operator new(n, no), n, 1, "new(nothrow)"));
        ::operator delete[](used(::operator new[](n), n, 1, "new[]"));
        ::operator delete[](used(::operator new[](n), n, 1, "new[], sized delete[]"), n);
        ::operator delete[](used(::operator new[](n), n, 1, "new[], nothrow delete[]"), no);
        ::operator delete[](used(::operator new[](n, no), n, 1, "new[](nothrow)"));
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
}

static void aligned_forms() {
    const auto &no = std::nothrow;
    for (std::size_t a = 1; a <= 1u << 22; a *= 2)
        for (std::size_t n : sizes) {
            auto al = static_cast<std::align_val_t>(a);
            ::operator delete(used(::operator new(n, al), n, a, "new(align)"), al);
            ::operator delete(used(::operator new(n, al), n, a, "new(align), sized"), n, al);
            ::operator delete(used(::operator new(n, al), n, a, "new(align), nothrow delete"), al, no);
            ::operator delete(used(::operator new(n, al, no), n, a, "new(align, nothrow)"), al);
            ::operator delete[](used(::operator new[](n, al), n, a, "new[](align)"), al);
            ::operator delete[](used(::operator new[](n, al), n, a, "new[](align), sized"), n, al);
            ::operator delete[](used(::operator new[](n, al), n, a, "new[](align), nothrow delete"), al, no);
            ::operator delete[](used(::operator new[](n, al, no), n, a, "new[](align, nothrow)"), al);
        }
}

template <class F> static bool throws(F f) {
    try {
        f();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static int n_handled;

static void give_up() {
    if (++n_handled == 3)
        std::set_new_handler(nullptr);
}

static void failing_forms() {
    volatile std::size_t much = PTRDIFF_MAX;
    auto al = static_cast<std::align_val_t>(64);
    expect(throws([&] { return ::operator new(much); }), "new does not throw");
    expect(throws([&] { return ::operator new[](much); }), "new[] does not throw");
    expect(throws([&] { return ::operator new(much, al); }), "new(align) does not throw");
    expect(throws([&] { return ::operator new[](much, al); }), "new[](align) does not throw");
    expect(::operator new(much, std::nothrow) == nullptr, "new(nothrow) is not NULL");
    expect(::operator new[](much, std::nothrow) == nullptr, "new[](nothrow) is not NULL");
    expect(::operator new(much, al, std::nothrow) == nullptr, "new(align, nothrow) is not NULL");
    std::set_new_handler(give_up);
    expect(throws([&] { return ::operator new(much); }) && n_handled == 3, "the new-handler was not asked");
    n_handled = 0;
    std::set_new_handler(give_up);
    expect(::operator new(much, std::nothrow) == nullptr &&n_handled == 3, "nor for nothrow");
    /* A new-handler may throw; for the nothrow forms that is NULL. */
    std::set_new_handler([] { throw std::bad_alloc(); });
    expect(throws([&] { return ::operator new(much); }), "the handler's exception is lost");
    expect(::operator new(much, std::nothrow) == nullptr, "the handler's exception leaves new(nothrow)");
    std::set_new_handler(nullptr);
}

struct alignas(256) Wide {
    char bytes[256];
};

static void library_types() {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([] {
            thread_local std::vector<std::string> kept;
            for (int i = 0; i < 3000; i++)
                kept.push_back(std::string(static_cast<std::size_t>(i % 300), 'x'));
            std::vector<Wide> wide(20);
            expect(reinterpret_cast<std::uintptr_t>(wide.data()) % 256 == 0, "vector of over-aligned");
            std::make_shared<Wide>();
        });
    for (auto &t : threads)
        t.join();
}

int main() {
    plain_forms();
    aligned_forms();
    failing_forms();
    library_types();
    return n_bad != 0;
}
