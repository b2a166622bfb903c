"""One thread of BLAS as long as any caller is inside, and as many as before after the last has left."""

from threadpoolctl import threadpool_info, threadpool_limits

from simcore.blas import single_threaded_blas


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_the_last_to_leave_gives_the_threads_back():
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        outer, inner = single_threaded_blas(), single_threaded_blas()
        outer.__enter__()
        inner.__enter__()
        assert threads() == {1}
        outer.__exit__(None, None, None)  # the first to come leaves first
        assert threads() == {1}
        inner.__exit__(None, None, None)
        assert threads() == before


def test_an_error_gives_them_back_too():
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        try:
            with single_threaded_blas():
                raise KeyError
        except KeyError:
            pass
        assert threads() == before
